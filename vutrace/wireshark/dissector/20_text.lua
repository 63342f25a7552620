-- Numbers and bytes in words, as `vutrace show` writes them.

PARTIES = { frontend = "front-end", backend = "back-end" }
local UNITS = { "KiB", "MiB", "GiB", "TiB", "PiB" }
local BYTES_SHOWN = 16
local LONG = 100000 -- a size of so many units is told roughly

function decimal(value)
  return is_wide(value) and tostring(value) or string.format("%d", value)
end

function hex(value)
  if not is_wide(value) then
    return string.format(value < 0 and "-0x%x" or "0x%x", math.abs(value))
  end
  local digits = value:tohex():gsub("^0+", "")
  return "0x" .. (digits == "" and "0" or digits)
end

function address(value)
  return is_zero(value) and "0" or hex(value)
end

local function as_number(value)
  return is_wide(value) and value:higher() * 4294967296 + value:lower() or value
end

-- Bytes in the largest unit that there is one of.
local function roughly(number)
  local power = 0
  while number >= 1024 and power < #UNITS do
    number, power = number / 1024, power + 1
  end
  return string.format("~%.2f %s", number, UNITS[power])
end

-- Bytes in the largest unit that makes a whole number of them; of too many, roughly.
function size_text(value)
  local whole, power, step = wide(value), 0, UInt64.new(1024)
  while not is_zero(whole) and power < #UNITS and is_zero(whole % step) do
    whole, power = whole / step, power + 1
  end
  if as_number(whole) >= LONG then return roughly(as_number(value)) end
  local number = tostring(whole)
  if power > 0 then return number .. " " .. UNITS[power] end
  return number .. (number == "1" and " byte" or " bytes")
end

local function byte_count(bytes)
  return bytes == "" and 0 or bytes:len()
end

-- Bytes are a range of the packet, or "" for none.
function hex_bytes(bytes)
  local length = byte_count(bytes)
  if length == 0 then return "" end
  if length <= BYTES_SHOWN then return bytes:bytes():tohex(true) end
  return string.format("%s… (%d bytes)", bytes(0, BYTES_SHOWN):bytes():tohex(true), length)
end

function colons(bytes)
  return bytes:bytes():tohex(true, ":")
end

-- 1 region, 2 regions.
function count_text(number, word)
  local digits = decimal(number)
  return digits .. " " .. word .. (digits == "1" and "" or "s")
end

-- Text up to its end.
function text_bytes(bytes)
  if bytes == "" then return "" end
  local zero = bytes:raw():find("\0", 1, true)
  if zero == 1 then return "" end
  return (zero and bytes(0, zero - 1) or bytes):string(ENC_UTF_8)
end

local ESCAPES = { ["\t"] = "\\t", ["\n"] = "\\n", ["\r"] = "\\r" }

-- The same on one line.
local function line_of_text(bytes)
  return (text_bytes(bytes):gsub("%c", function(c)
    return ESCAPES[c] or string.format("\\x%02x", c:byte())
  end))
end

function uuid_text(bytes)
  local digits = bytes:bytes():tohex(true)
  local parts = { digits:sub(1, 8), digits:sub(9, 12), digits:sub(13, 16), digits:sub(17, 20), digits:sub(21) }
  return table.concat(parts, "-")
end

function bit_table(rows)
  local names = {}
  for _, row in ipairs(rows) do names[row[1]] = row[2] end
  return names
end

local bits_of = {} -- the same few masks come again and again

local function collect_bits(list, half, bit)
  while half > 0 do
    if half % 2 == 1 then list[#list + 1] = bit end
    half, bit = math.floor(half / 2), bit + 1
  end
end

-- The numbers of the bits that are set, in order.
function set_bits(mask)
  local key = tostring(mask)
  if not bits_of[key] then
    bits_of[key] = {}
    collect_bits(bits_of[key], is_wide(mask) and mask:lower() or mask, 0)
    if is_wide(mask) then collect_bits(bits_of[key], mask:higher(), 32) end
  end
  return bits_of[key]
end

-- The names of the bits that are set; the first table that knows a bit names it.
function bit_names(mask, first, second)
  local names = {}
  for i, bit in ipairs(set_bits(mask)) do
    names[i] = first[bit] or (second and second[bit]) or ("bit " .. bit)
  end
  return names
end

function joined(names)
  return #names > 0 and table.concat(names, " ") or "none"
end

-- An acknowledgement: ok, error 1, or a negative errno by name.
function status_text(value)
  if is_zero(value) then return "ok" end
  if is_wide(value) and test_bit(value, 63) then
    local number = 4294967296 - value:lower()
    local name = value:higher() == 4294967295 and ERRNO[number]
    if name then return string.format("error %s (-%d)", name, number) end
    local negated = tostring(value:bnot() + UInt64.new(1))
    return "error -" .. negated
  end
  return "error " .. decimal(value)
end

function vring_base_text(value, packed)
  if not packed then return "avail " .. decimal(value) end
  local avail, used = value % 65536, math.floor(value / 65536)
  return string.format("avail %d wrap %d, used %d wrap %d",
    avail % 32768, math.floor(avail / 32768), used % 32768, math.floor(used / 32768))
end

FEATURE_NAMES = bit_table(FEATURES)
for _, device in ipairs(DEVICES) do device.feature_names = bit_table(device.features) end

local function feature_names(mask, device)
  return bit_names(mask, FEATURE_NAMES, device and device.feature_names)
end

-- A value of one field in words; `context` is the negotiation that some are read by.
local WORDS = {
  dec = function(value, field)
    if not field.unit then return decimal(value) end
    local text = decimal(value) .. " " .. field.unit
    if field.factor == 0 then return text end
    return string.format("%s (%s)", text, size_text(wide(value) * UInt64.new(field.factor)))
  end,
  hex = address,
  size = size_text,
  flags = function(value, field) return joined(bit_names(value, field.names)) end,
  features = function(value, _, context) return joined(feature_names(value, context.device)) end,
  enum = function(value, field)
    local known = field.enum[tonumber(decimal(value))]
    return known or string.format("UNKNOWN(%s)", decimal(value))
  end,
  parts = function(value, field)
    local words = {}
    for i, part in ipairs(field.parts) do words[i] = part.name .. " " .. decimal(part.of(value)) end
    return table.concat(words, ", ")
  end,
  ring = decimal,
  vring_base = function(value, _, context) return vring_base_text(value, context.packed) end,
  ack = status_text,
  mac = colons,
  text = line_of_text,
  uuid = uuid_text,
  bytes = hex_bytes,
  config = hex_bytes,
  secret = function() return "redacted" end,
}

function words_of(value, field, context)
  if type(value) == "table" then
    local words = {}
    for i, each in ipairs(value) do words[i] = decimal(each) end
    return table.concat(words, ", ")
  end
  return WORDS[field.kind](value, field, context)
end
