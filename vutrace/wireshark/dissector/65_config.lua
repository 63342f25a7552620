-- The part of a device's configuration space that a message holds; a request to read only makes room.

-- Of a configuration space that is a union, the layout that its bytes ask for; those before `offset`,
-- which the message does not hold, are taken for zeros. The bytes of `raw` are those from `start` on.
local function variant_of(layer, raw, start, offset, length)
  for _, key in ipairs(layer.variants or NONE) do
    local each, marks = LAYERS[key], LAYERS[key].marks
    if not marks and each.least == offset + length then return each end
    if marks and offset + length >= marks.start + SIZES[marks.code] then
      local at = start + marks.start - offset
      if marks.values[at >= start and NUMBERS[marks.code](raw, at, true) or 0] then return each end
    end
  end
  return layer
end

-- The whole fields in the bytes from `start` to `stop`: each with its value and where it is.
function config_parts(raw, start, stop, message, context)
  local layer, parts, offset = context.device and LAYERS[context.device.config], {}, message.values.offset
  local asks = message.name == "GET_CONFIG" and not message.reply
  if not layer or asks or offset > LARGEST_CONFIG then return parts end
  local length, place = math.min(stop - start, message.values.size), 0
  layer = variant_of(layer, raw, start, offset, length)
  for _, field in ipairs(layer.fields) do
    local size = field.width or math.max(0, offset + length - place)
    if field.type == "listed" or place + size > offset + length then break end
    if place >= offset then
      local at = start + place - offset
      local value = read_field(field, raw, at, at + size, message.little)
      parts[#parts + 1] = { field = field, value = value, at = at, stop = at + size }
    end
    place = place + size
  end
  return parts
end
