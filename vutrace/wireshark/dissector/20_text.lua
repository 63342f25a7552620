-- Numbers and bytes in words, as `vutrace show` writes them.

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

-- 1 region, 2 regions.
function count_text(number, word)
  local digits = decimal(number)
  return digits .. " " .. word .. (digits == "1" and "" or "s")
end

-- So many of a unit.
local function unit_words(number, power)
  return power > 0 and decimal(number) .. " " .. UNITS[power] or count_text(number, "byte")
end

-- Bytes, exactly, in the largest unit that makes a whole number of them; of a long one in several, the largest
-- first, as long as they are few.
function size_text(value)
  local parts, rest, whole, least = {}, value, 0, 0
  for power = 0, #UNITS do
    local part = power < #UNITS and rest % 1024 or rest
    rest = (rest - part) / 1024
    if is_wide(part) then part = part:tonumber() end
    if part > 0 then
      if whole == 0 then least = power end
      whole = whole + part * 1024 ^ (power - least)
      table.insert(parts, 1, unit_words(part, power))
    end
  end
  if whole < LONG then return unit_words(whole, least) end
  return #parts <= PARTS_SHOWN and concat(parts, " + ") or unit_words(value, 0)
end

function hex_bytes(bytes)
  if #bytes <= BYTES_SHOWN then return Struct.tohex(bytes, true) end
  return format("%s… (%d bytes)", Struct.tohex(bytes:sub(1, BYTES_SHOWN), true), #bytes)
end

-- The names of the bits that are set, in the order of the rows, but for those of `without`.
function bit_names(mask, rows, without)
  local names = {}
  for _, row in ipairs(rows) do
    local bit, name = row[1], row[2]
    if test_bit(mask, bit) and not (without and test_bit(without, bit)) then names[#names + 1] = name end
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
  flags = function(value, field) return joined(bit_names(value, field.bits)) end,
  features = function(value, _, context) return joined(bit_names(value, device_of(context).features)) end,
  enum = function(value, field) return field.enum[value] or format("UNKNOWN(%s)", decimal(value)) end,
  parts = function(value, field)
    local words = {}
    for i, part in ipairs(field.parts) do words[i] = part.name .. " " .. decimal(part.of(value)) end
    return concat(words, ", ")
  end,
  ring = decimal,
  vring_base = function(value, _, context) return vring_base_text(value, context.packed) end,
  ack = status_text,
  mac = function(bytes) return Struct.tohex(bytes, true, ":") end,
  text = printable,
  uuid = function(bytes)
    return (Struct.tohex(bytes, true):gsub("^(........)(....)(....)(....)", "%1-%2-%3-%4-"))
  end,
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
