-- The part of a device's configuration space that a message holds. `context` is what is known of the
-- session and of the message: `little` is the host's byte order, `asks` that it only makes room.

local LARGEST_CONFIG = 4096

-- Of a configuration space that is a union, the layout that its bytes ask for; those before `offset`,
-- which the message does not hold, are taken for zeros.
local function variant_of(layer, range, offset, length)
  for _, key in ipairs(layer.variants or {}) do
    local each = LAYERS[key]
    local marks = each.marks
    if not marks then
      if each.least == offset + length then return each end
    elseif offset + length >= marks.start + SIZES[marks.code] then
      local there = marks.start >= offset
      local value = there and range(marks.start - offset, SIZES[marks.code]):le_uint() or 0
      if marks.values[value] then return each end
    end
  end
  return layer
end

function is_bytes(field)
  return field.type == "fixed" or field.type == "tail"
end

local function fixed_size(field)
  if field.size then return field.size end
  if field.code then return SIZES[field.code] * (field.count or 1) end
  return field.type == "nested" and LAYERS[field.layer].least or nil
end

-- The whole fields in the bytes `range`: each with its value and where it is in them.
function config_parts(range, values, context)
  local layer, parts = context.device and LAYERS[context.device.config], {}
  if not layer or context.asks or values.offset > LARGEST_CONFIG then return parts end
  local offset, place = values.offset, 0
  local length = math.min(range:len(), values.size)
  layer = variant_of(layer, range, offset, length)
  for _, field in ipairs(layer.fields) do
    local size = fixed_size(field)
    if field.type == "tail" then size = math.max(0, offset + length - place) end
    if not size or place + size > offset + length then break end
    if place >= offset then
      local at = place - offset
      local value = READERS[field.type](field, range, at, at + size, context.little, {})
      parts[#parts + 1] = { field = field, value = value, at = at, stop = at + size }
    end
    place = place + size
  end
  return parts
end
