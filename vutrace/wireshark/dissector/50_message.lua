-- A message: its row in the tables, the layout that its payload has, its fields' values, what is wrong.

local HEADER = 12

local METHODS = { [true] = {}, [false] = {} }
for code, size in pairs(SIZES) do
  local name = (code == code:upper() and "uint" or "int") .. (size == 8 and "64" or "")
  METHODS[true][code], METHODS[false][code] = "le_" .. name, name
end

local function number_at(range, code, little)
  return range[METHODS[little][code]](range)
end

function is_little(field, little)
  if field.order then return field.order == "<" end
  return little
end

local read_layer

local function read_whole(layer, tvb, at, little)
  return (read_layer(layer, tvb, at, at + layer.least, little))
end

-- Each answers the value of a field and where it ends; nil when bytes are missing.
READERS = {
  number = function(field, tvb, at, stop, little)
    local size = SIZES[field.code]
    if stop - at < size then return nil end
    return number_at(tvb(at, size), field.code, is_little(field, little)), at + size
  end,
  fixed = function(field, tvb, at, stop)
    if stop - at < field.size then return nil end
    return field.size > 0 and tvb(at, field.size) or "", at + field.size
  end,
  tail = function(_, tvb, at, stop)
    return stop > at and tvb(at, stop - at) or "", stop
  end,
  array = function(field, tvb, at, stop, little)
    local size, values = SIZES[field.code], {}
    if stop - at < size * field.count then return nil end
    for i = 1, field.count do values[i] = number_at(tvb(at + (i - 1) * size, size), field.code, little) end
    return values, at + size * field.count
  end,
  nested = function(field, tvb, at, stop, little)
    local layer = LAYERS[field.layer]
    if stop - at < layer.least then return nil end
    return read_whole(layer, tvb, at, little), at + layer.least
  end,
  listed = function(field, tvb, at, stop, little, values)
    local layer, items, count = LAYERS[field.layer], {}, tonumber(decimal(values[field.counted_by]))
    while #items < count and stop - at >= layer.least do
      items[#items + 1] = read_whole(layer, tvb, at, little)
      at = at + layer.least
    end
    return items, at
  end,
}

-- The values of the fields that are whole, where they end, and how many they are.
read_layer = function(layer, tvb, at, stop, little)
  local values, count = {}, 0
  if at == stop then return values, at, 0 end
  for _, field in ipairs(layer.fields) do
    local value, behind = READERS[field.type](field, tvb, at, stop, little, values)
    if value == nil then break end
    values[field.name], at, count = value, behind, count + 1
  end
  return values, at, count
end

-- Of a list, of bytes, or of no bytes.
local function length_of(items)
  return type(items) == "userdata" and items:len() or #items
end

local function fits(layer, values, count, empty)
  if layer.opaque then return true end
  for _, field in ipairs(layer.fields) do
    local items = values[field.name]
    if field.counted_by then return items ~= nil and same(length_of(items), values[field.counted_by]) end
  end
  return count == #layer.fields or (empty and layer.least == 0)
end

-- The first layout of a size, and the one of the same size that is told by its marks.
local function of_size(payload, size)
  local first, other
  for _, key in ipairs(payload.layers) do
    local layer = LAYERS[key]
    if layer.size == size then
      if not first then first = layer elseif layer.marks then other = layer end
    end
  end
  return first, other
end

-- The first layout that the payload's size fits, else the first: as vutrace/dissection/layouts.py.
local function choose(message, payload, tvb, at, stop, little)
  local function take(layer, whole)
    message.values, message.rest, message.count = read_layer(layer, tvb, at, stop, little)
    message.layer, message.fits = layer, whole
  end
  local function take_marked(first, other, whole)
    local values = other and read_layer(other, tvb, at, stop, little)
    local mark = values and values[other.marks.name]
    take(mark and other.marks.values[tonumber(decimal(mark))] and other or first, whole)
  end
  local first, other = of_size(payload, stop - at)
  if first then return take_marked(first, other, true) end
  for _, key in ipairs(payload.layers) do
    local layer = LAYERS[key]
    if not layer.size then
      local values, used, count = read_layer(layer, tvb, at, stop, little)
      local whole = layer.opaque or used == stop
      if whole and fits(layer, values, count, at == stop) then return take(layer, true) end
    end
  end
  first = LAYERS[payload.layers[1]]
  take_marked(first, first.size and select(2, of_size(payload, first.size)), false)
end

local RAW = 3

-- A record without a header to go by.
local function headless(record, tvb)
  local raw = has_bit(record.flags, RAW)
  local message = { channel = record.channel, problems = {}, values = {}, count = 0, request = 0, flags = 1 }
  message.name, message.headless = raw and "(raw bytes)" or "(no header)", true
  message.spec, message.layer, message.fits = UNKNOWN, LAYERS[UNKNOWN.request.layers[1]], true
  message.at, message.stop, message.rest = record.body, tvb:len(), tvb:len()
  if message.stop > message.at then
    message.values, message.count = { data = tvb(message.at, message.stop - message.at) }, 1
  end
  check_record(message, record.flags)
  if #message.problems == 0 then
    complain(message, "malformed", "%d bytes are less than a header", message.stop - message.at)
  end
  return message
end

-- The ring that a message is about, as a plain number.
local function ring_of(message)
  if not message.spec.ring then return nil end
  local index, word = message.values.index, message.values.u64
  if index then return tonumber(decimal(index)) end
  return word and low_byte(word) or nil
end

function read_message(record, tvb)
  local at, little = record.body, not record.big_endian
  if tvb:len() - at < HEADER or has_bit(record.flags, RAW) then return headless(record, tvb) end
  local message = { channel = record.channel, problems = {}, at = at + HEADER, stop = tvb:len() }
  message.request = number_at(tvb(at, 4), "I", little)
  message.flags = number_at(tvb(at + 4, 4), "I", little)
  message.size = number_at(tvb(at + 8, 4), "I", little)
  message.on_wire = record.wire_size - HEADER
  message.reply, message.need_reply = has_bit(message.flags, 2), has_bit(message.flags, 3)
  if record.channel == "gpu" then
    -- The sender tells: QEMU's vhost-user-gpu leaves the flags of its updates as they were in memory.
    message.reply, message.need_reply = record.sender == "frontend", false
  end
  message.known = MESSAGES[record.channel][message.request]
  message.spec = message.known or UNKNOWN
  message.name = message.known and message.spec.name or string.format("UNKNOWN(%d)", message.request)
  local payload = message.reply and message.spec.reply or message.spec.request
  choose(message, payload, tvb, message.at, message.stop, little)
  message.ring = ring_of(message)
  check(message, record, payload)
  return message
end
