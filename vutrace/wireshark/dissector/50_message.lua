-- A message: its row in the tables, the layout that its payload has, its fields' values, what is wrong.

local HEADER = 12
local LARGE = 1024 -- too large to be remembered
local read_layer

-- Makes of each type of field the function that answers its value and where it ends; nil when bytes are missing.
local READERS = {
  number = function(field)
    local read, size, order = NUMBERS[field.code], SIZES[field.code], field.order
    return function(raw, at, stop, little)
      if stop - at < size then return nil end
      if order then little = order == "<" end
      return read(raw, at, little), at + size
    end
  end,
  fixed = function(field)
    return function(raw, at, stop)
      if stop - at < field.size then return nil end
      return raw:sub(at + 1, at + field.size), at + field.size
    end
  end,
  tail = function()
    return function(raw, at, stop) return raw:sub(at + 1, stop), stop end
  end,
  array = function(field)
    local read, size, count = NUMBERS[field.code], SIZES[field.code], field.count
    return function(raw, at, stop, little)
      if stop - at < size * count then return nil end
      local values = {}
      for i = 1, count do values[i] = read(raw, at + (i - 1) * size, little) end
      return values, at + size * count
    end
  end,
  nested = function(field)
    local layer = LAYERS[field.layer]
    return function(raw, at, stop, little)
      if stop - at < layer.least then return nil end
      return (read_layer(layer, raw, at, at + layer.least, little)), at + layer.least
    end
  end,
  listed = function(field)
    local layer, size = LAYERS[field.layer], LAYERS[field.layer].least
    return function(raw, at, stop, little, values)
      local items, count = {}, values[field.counted_by]
      while #items < count and stop - at >= size do
        items[#items + 1] = read_layer(layer, raw, at, at + size, little)
        at = at + size
      end
      return items, at
    end
  end,
}

local function width_of(field)
  if field.code then return SIZES[field.code] * (field.count or 1) end
  return field.size or (field.type == "nested" and LAYERS[field.layer].least or nil)
end

-- Text ends with its first NUL.
local function text_reader(read)
  return function(raw, at, stop)
    local bytes, behind = read(raw, at, stop)
    local length = bytes and (bytes:find("\0", 1, true) or #bytes + 1) - 1
    return length and string_at(PACKET, raw, at, length), behind
  end
end

for _, layer in pairs(LAYERS) do
  layer.named = {}
  for _, field in ipairs(layer.fields) do
    layer.named[field.name] = field
    field.read = READERS[field.type](field)
    if field.kind == "text" and not field.code then field.read = text_reader(field.read) end
    field.width = width_of(field)
    if field.counted_by then layer.counted = field end
  end
end

-- The values of the fields that are whole, where they end, how many they are; of the counted one, how many items.
read_layer = function(layer, raw, at, stop, little)
  local values, count, items = {}, 0, nil
  if at == stop then return values, at, 0 end
  local fields, counted = layer.fields, layer.counted
  for i = 1, #fields do
    local field = fields[i]
    local value, behind = field.read(raw, at, stop, little, values)
    if value == nil then break end
    if field == counted then items = type(value) == "table" and #value or behind - at end
    values[field.name], at, count = value, behind, i
  end
  return values, at, count, items
end

local function fits(layer, values, count, items, empty)
  if layer.opaque then return true end
  if layer.counted then return items ~= nil and items == values[layer.counted.counted_by] end
  return count == #layer.fields or (empty and layer.least == 0)
end

-- The first layout that the payload's size fits, else the first: as vutrace/dissection/layouts.py.
local function choose(message, payload, raw, little)
  local at, stop = message.at, message.stop
  for _, key in ipairs(payload.sized[stop - at] and NONE or payload.varying) do
    local layer = LAYERS[key]
    local values, used, count, items = read_layer(layer, raw, at, stop, little)
    if (layer.opaque or used == stop) and fits(layer, values, count, items, at == stop) then
      message.values, message.rest, message.count, message.layer, message.fits = values, used, count, layer, true
      return
    end
  end
  local layer = LAYERS[payload.sized[stop - at] or payload.first]
  local marked = LAYERS[payload.marked[layer.size]]
  if marked and marked.marks.values[read_layer(marked, raw, at, stop, little)[marked.marks.name]] then
    layer = marked
  end
  message.values, message.rest, message.count = read_layer(layer, raw, at, stop, little)
  message.layer, message.fits = layer, payload.sized[stop - at] ~= nil
end

local RAW, FLAGS_UNKNOWN, PAYLOAD_UNKNOWN = 3, 4, 5

-- The source of an import knew no more of the payload than a part: none of it is shown.
local function leave(message, payload)
  message.values, message.rest, message.count = {}, message.stop, 0
  message.layer, message.fits, message.payload_unknown = LAYERS[payload.first], true, true
end

-- A record without a header to go by.
local function headless(record, raw)
  local message = { channel = record.channel, problems = NONE, values = {}, count = 0, request = 0, flags = 1, reply = false }
  message.name, message.headless = has_bit(record.flags, RAW) and "(raw bytes)" or "(no header)", true
  message.spec, message.layer, message.fits = UNKNOWN, LAYERS[UNKNOWN.request.first], true
  message.at, message.stop, message.rest = record.body, #raw, #raw
  if message.stop > message.at then
    message.values, message.count = { data = raw:sub(message.at + 1) }, 1
  end
  check_record(message, record.flags)
  if #message.problems == 0 then
    complain(message, PROBLEMS.LESS_THAN_HEADER, message.stop - message.at)
  end
  return message
end

-- The ring that a message is about, as a plain number.
local function ring_of(message)
  if not message.spec.ring then return nil end
  local index, word = message.values.index, message.values.u64
  return index or (word and low_byte(word)) or nil
end

local function parse(record, raw)
  local at, little = record.body, not record.big_endian
  if #raw - at < HEADER or has_bit(record.flags, RAW) then return headless(record, raw) end
  local message = {
    channel = record.channel, problems = NONE, little = little,
    at = at + HEADER, stop = #raw, on_wire = math.max(record.wire_size - HEADER, 0),
  }
  message.request, message.flags, message.size = Struct.unpack(little and "<I4I4I4" or ">I4I4I4", raw, at + 1)
  local wire = WIRES[record.channel]
  message.reply = masked(message.flags, wire.reply) > 0
  -- On the GPU channel the sender tells: QEMU's vhost-user-gpu leaves the flags of its updates as they were.
  if not wire.marked then message.reply = record.sender ~= SENDERS[record.channel].request end
  message.need_reply = wire.need_reply > 0 and masked(message.flags, wire.need_reply) > 0
  message.known = MESSAGES[record.channel][message.request]
  message.spec = message.known or UNKNOWN
  message.name = message.known and message.spec.name or format("UNKNOWN(%d)", message.request)
  local payload = message.reply and message.spec.reply or message.spec.request
  message.flags_unknown = has_bit(record.flags, FLAGS_UNKNOWN)
  if has_bit(record.flags, PAYLOAD_UNKNOWN) then
    leave(message, payload)
    message.size_unknown = record.wire_size == 0
  else
    choose(message, payload, raw, little)
  end
  message.ring = ring_of(message)
  check(message, record, payload)
  return message
end

local remembered = remember(function(_, record, raw) return parse(record, raw) end)

-- A message is all in its own bytes and some of the record's. The same few messages come again and again.
function read_message(record, raw)
  if #raw > LARGE then return parse(record, raw) end
  return remembered(raw:sub(7, 12) .. raw:sub(21, 36) .. raw:sub(record.body + 1), record, raw)
end
