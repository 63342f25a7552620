-- The part of a device's configuration space that a message holds; a request to read only makes room.

local LARGEST_CONFIG = 4096

-- Of a configuration space that is a union, the layout that its bytes ask for; those before `offset`,
-- which the message does not hold, are taken for zeros. The bytes of `raw` are those from `start` on.
local function variant_of(layer, raw, start, offset, length)
  for _, key in ipairs(layer.variants or {}) do
    local each = LAYERS[key]
    local marks = each.marks
    if not marks then
      if each.least == offset + length then return each end
    elseif offset + length >= marks.start + SIZES[marks.code] then
      local there = marks.start >= offset
      local value = there and NUMBERS[marks.code](raw, start + marks.start - offset, true) or 0
      if marks.values[value] then return each end
    end
  end
  return layer
end

function is_bytes(field)
  return field.type == "fixed" or field.type == "tail"
end

-- The whole fields in the bytes from `start` to `stop`: each with its value and where it is.
function config_parts(raw, start, stop, message, context)
  local layer, parts, offset = context.device and LAYERS[context.device.config], {}, message.values.offset
  local asks = message.name == "GET_CONFIG" and not message.reply
  if not layer or asks or offset > LARGEST_CONFIG then return parts end
  local length, place = math.min(stop - start, message.values.size), 0
  layer = variant_of(layer, raw, start, offset, length)
  for _, field in ipairs(layer.fields) do
    local size = field.width
    if field.type == "tail" then size = math.max(0, offset + length - place) end
    if not size or place + size > offset + length then break end
    if place >= offset then
      local at = start + place - offset
      local value = field.read(raw, at, at + size, message.little, {})
      parts[#parts + 1] = { field = field, value = value, at = at, stop = at + size }
    end
    place = place + size
  end
  return parts
end
