-- Numbers and bytes in words, as `vutrace show` writes them.

PARTIES = { frontend = "front-end", backend = "back-end" }
local UNITS = { "KiB", "MiB", "GiB", "TiB", "PiB" }
local BYTES_SHOWN = 16
local LONG = 100000 -- a size of so many units is told in larger ones, too
local PARTS_SHOWN = 2

-- Text on one line: what moves a cursor or turns a line round is escaped. The columns of tshark are not
-- escaped by anybody else.
function printable(text)
  if not text:find("[%c\127-\255]") then return text end
  return (text:gsub("[\0-\127\194-\244][\128-\191]*", ESCAPES))
end

function decimal(value)
  return is_wide(value) and tostring(value) or format("%.0f", value)
end

function hex(value)
  if is_wide(value) then return "0x" .. value:tohex():gsub("^0+", "") end
  local sign, number = value < 0 and "-" or "", math.abs(value)
  if number < 4294967296 then return format("%s0x%x", sign, number) end
  return format("%s0x%x%08x", sign, floor(number / 4294967296), number % 4294967296)
end

function address(value)
  return value == 0 and "0" or hex(value)
end

-- So many of a unit.
local function unit_words(digits, power)
  if power > 0 then return digits .. " " .. UNITS[power] end
  return digits .. (digits == "1" and " byte" or " bytes")
end

-- How many of a unit there are in a size, less those of the next larger unit.
local function part_of(value, power)
  if is_wide(value) then
    local whole = value:rshift(10 * power)
    return (power < #UNITS and whole:band(1023) or whole):tonumber()
  end
  local whole = floor(value / 1024 ^ power)
  return power < #UNITS and whole % 1024 or whole
end

-- A size as a sum, the largest unit first; of too many parts the bytes.
local function sum_words(value)
  local parts = {}
  for power = #UNITS, 0, -1 do
    local whole = part_of(value, power)
    if whole > 0 then parts[#parts + 1] = unit_words(decimal(whole), power) end
  end
  if #parts > PARTS_SHOWN then return unit_words(decimal(value), 0) end
  return table.concat(parts, " + ")
end

-- Bytes, exactly, in the largest unit that makes a whole number of them; of a long one in several.
function size_text(value)
  local number, power = value, 0
  if is_wide(value) then
    number = value:higher() * 4294967296 + value:lower()
    if value:lower() % 2048 > 0 then return sum_words(value) end -- that is not exact, but larger than any that is
  end
  local whole = number
  while whole > 0 and power < #UNITS and whole % 1024 == 0 do
    whole, power = whole / 1024, power + 1
  end
  if whole >= LONG then return sum_words(value) end
  return unit_words(decimal(whole), power)
end

local HEX = {}
for number = 0, 255 do HEX[string.char(number)] = format("%02x", number) end

local function digits_of(bytes)
  return (bytes:gsub(".", HEX))
end

function hex_bytes(bytes)
  if #bytes <= BYTES_SHOWN then return digits_of(bytes) end
  return format("%s… (%d bytes)", digits_of(bytes:sub(1, BYTES_SHOWN)), #bytes)
end

function colons(bytes)
  return (digits_of(bytes):gsub("%x%x", "%0:"):sub(1, -2))
end

-- 1 region, 2 regions.
function count_text(number, word)
  local digits = decimal(number)
  return digits .. " " .. word .. (digits == "1" and "" or "s")
end

function uuid_text(bytes)
  local digits = digits_of(bytes)
  local parts = { digits:sub(1, 8), digits:sub(9, 12), digits:sub(13, 16), digits:sub(17, 20), digits:sub(21) }
  return concat(parts, "-")
end

function bit_table(rows)
  local names = {}
  for _, row in ipairs(rows) do names[row[1]] = row[2] end
  return names
end

local function collect_bits(list, half, bit, without)
  while half > 0 do
    if half % 2 == 1 and not (without and test_bit(without, bit)) then list[#list + 1] = bit end
    half, bit = floor(half / 2), bit + 1
  end
  return list
end

-- The numbers of the bits that are set, in order, but for those of `without`.
function set_bits(mask, without)
  if not is_wide(mask) then return collect_bits({}, mask, 0, without) end
  return collect_bits(collect_bits({}, mask:lower(), 0, without), mask:higher(), 32, without)
end

-- The names of the bits that are set; the first table that knows a bit names it.
function bit_names(mask, first, second, without)
  local names = {}
  for i, bit in ipairs(set_bits(mask, without)) do
    names[i] = first[bit] or (second and second[bit]) or ("bit " .. bit)
  end
  return names
end

function joined(names)
  return #names > 0 and concat(names, " ") or "none"
end

-- An acknowledgement: ok, error 1, or a negative errno by name.
function status_text(value)
  if value == 0 then return "ok" end
  if is_wide(value) and test_bit(value, 63) then
    local small = value:higher() == 4294967295
    value = small and value:lower() - 4294967296 or Int64.decode(value:encode())
  end
  local name = not is_wide(value) and ERRNO[-value]
  return name and format("error %s (%s)", name, decimal(value)) or "error " .. decimal(value)
end

function vring_base_text(value, packed)
  if not packed then return "avail " .. decimal(value) end
  local avail, used = value % 65536, floor(value / 65536)
  return format("avail %d wrap %d, used %d wrap %d",
    avail % 32768, floor(avail / 32768), used % 32768, floor(used / 32768))
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
    return format("%s (%s)", text, size_text(narrow(wide(value) * UInt64.new(field.factor))))
  end,
  hex = address,
  size = size_text,
  flags = function(value, field) return joined(bit_names(value, field.names)) end,
  features = function(value, _, context) return joined(feature_names(value, context.device)) end,
  enum = function(value, field)
    local known = field.enum[value]
    return known or format("UNKNOWN(%s)", decimal(value))
  end,
  parts = function(value, field)
    local words = {}
    for i, part in ipairs(field.parts) do words[i] = part.name .. " " .. decimal(part.of(value)) end
    return concat(words, ", ")
  end,
  ring = decimal,
  vring_base = function(value, _, context) return vring_base_text(value, context.packed) end,
  ack = status_text,
  mac = colons,
  text = printable,
  uuid = uuid_text,
  bytes = hex_bytes,
  config = hex_bytes,
  secret = function() return "redacted" end,
}

function words_of(value, field, context)
  if type(value) == "table" then
    local words = {}
    for i, each in ipairs(value) do words[i] = decimal(each) end
    return concat(words, ", ")
  end
  return WORDS[field.kind](value, field, context)
end
