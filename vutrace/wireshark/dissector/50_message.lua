-- A message: its row in the tables, the layout that its payload has, its fields' values, what is wrong.

local HEADER = 12
local LARGE = 1024 -- too large to be remembered
local RAW, FLAGS_UNKNOWN, PAYLOAD_UNKNOWN = 3, 4, 5 -- bits of a record's flags
local read_layer

function is_little(field, little)
  if field.order then return field.order == "<" end
  return little
end

local function read_bytes(_, raw, at, behind) return raw:sub(at + 1, behind) end

-- The value that each type of field has in the bytes from `at` to `behind`; of a list also where it ends.
local READERS = {
  number = function(field, raw, at, _, little) return NUMBERS[field.code](raw, at, is_little(field, little)) end,
  fixed = read_bytes,
  tail = read_bytes,
  text = function(_, raw, at, behind)
    local length = (raw:sub(at + 1, behind):find("\0", 1, true) or behind - at + 1) - 1
    return string_at(PACKET, raw, at, length)
  end,
  array = function(field, raw, at, behind, little)
    local values = {}
    for i = 1, field.count do values[i] = NUMBERS[field.code](raw, at + (i - 1) * SIZES[field.code], little) end
    return values
  end,
  nested = function(field, raw, at, behind, little)
    return (read_layer(LAYERS[field.layer], raw, at, behind, little))
  end,
  listed = function(field, raw, at, stop, little, values)
    local layer, items = LAYERS[field.layer], {}
    while #items < values[field.counted_by] and stop - at >= layer.least do
      items[#items + 1] = read_layer(layer, raw, at, at + layer.least, little)
      at = at + layer.least
    end
    return items, at
  end,
}

function read_field(field, ...)
  return READERS[field.type](field, ...)
end

-- The values of the fields that are whole, where they end, how many they are; of the counted one, how many items.
read_layer = function(layer, raw, at, stop, little)
  local values, count, items = {}, 0, nil
  for i, field in ipairs(at == stop and NONE or layer.fields) do
    local behind = field.width and at + field.width or stop
    if behind > stop then break end
    local value, ended = read_field(field, raw, at, behind, little, values)
    if i == layer.counted then items = ended and #value or behind - at end
    values[field.name], at, count = value, ended or behind, i
  end
  return values, at, count, items
end

-- Reads the payload by a layer; whether it fits.
local function take(message, layer, raw)
  local at, stop, items = message.at, message.stop, nil
  message.layer = layer
  message.values, message.rest, message.count, items = read_layer(layer, raw, at, stop, message.little)
  if layer.opaque or message.rest < stop then return layer.opaque end
  local counted = layer.fields[layer.counted]
  if counted then return items ~= nil and items == message.values[counted.counted_by] end
  return message.count == #layer.fields or at == stop and layer.least == 0
end

-- The first layout that the payload's size fits, else the first: as vutrace/dissection/layouts.py.
local function choose(message, payload, raw)
  local sized = payload.sized[message.stop - message.at]
  for _, key in ipairs(sized and NONE or payload.varying) do
    message.fits = take(message, LAYERS[key], raw)
    if message.fits then return end
  end
  local layer = LAYERS[sized or payload.first]
  local other = LAYERS[payload.marked[layer.size]]
  take(message, other or layer, raw)
  if other and not other.marks.values[message.values[other.marks.name]] then take(message, layer, raw) end
  message.fits = sized ~= nil
end

-- A record without a header to go by.
local function headless(message, record, raw)
  message.name, message.headless = has_bit(record.flags, RAW) and "(raw bytes)" or "(no header)", true
  message.at = record.body
  if #raw > message.at then message.values, message.count = { data = raw:sub(message.at + 1) }, 1 end
  check_record(message, record.flags)
  if message.problems == NONE then complain(message, PROBLEMS.LESS_THAN_HEADER, #raw - message.at) end
  return message
end

local function parse(record, raw)
  local at, wire = record.body, WIRES[record.channel]
  local message = {
    channel = record.channel, problems = NONE, little = not record.big_endian, at = at + HEADER, stop = #raw,
    on_wire = math.max(record.wire_size - HEADER, 0), spec = UNKNOWN, layer = LAYERS[UNKNOWN.request.first],
    values = {}, rest = #raw, count = 0, fits = true,
  }
  if #raw - at < HEADER or has_bit(record.flags, RAW) then return headless(message, record, raw) end
  message.request, message.flags, message.size = Struct.unpack(message.little and "<I4I4I4" or ">I4I4I4", raw, at + 1)
  message.reply = masked(message.flags, wire.reply) > 0
  -- On the GPU channel the sender tells: QEMU's vhost-user-gpu leaves the flags of its updates as they were.
  if not wire.marked then message.reply = record.sender ~= SENDERS[record.channel].request end
  message.need_reply = wire.need_reply > 0 and masked(message.flags, wire.need_reply) > 0
  message.known = MESSAGES[record.channel][message.request]
  message.spec = message.known or UNKNOWN
  message.name = message.known and message.spec.name or format("UNKNOWN(%d)", message.request)
  local payload = message.reply and message.spec.reply or message.spec.request
  message.flags_unknown = has_bit(record.flags, FLAGS_UNKNOWN)
  -- The source of an import may have known no more of the payload than a part: none of it is shown.
  message.payload_unknown = has_bit(record.flags, PAYLOAD_UNKNOWN)
  message.size_unknown = message.payload_unknown and record.wire_size == 0
  message.layer = LAYERS[payload.first]
  if not message.payload_unknown then choose(message, payload, raw) end
  local index, word = message.values.index, message.values.u64
  message.ring = message.spec.ring and (index or word and low_byte(word)) or nil
  check(message, record, payload)
  return message
end

local remembered = remember(function(_, record, raw) return parse(record, raw) end)

-- A message is all in its own bytes and some of the record's. The same few messages come again and again.
function read_message(record, raw)
  if #raw > LARGE then return parse(record, raw) end
  return remembered(raw:sub(7, 12) .. raw:sub(21, 36) .. raw:sub(record.body + 1), record, raw)
end
