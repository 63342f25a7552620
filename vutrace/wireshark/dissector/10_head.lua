-- A second copy (one installed, one given with -X lua_script:) leaves the field to the first.
local fresh, proto = pcall(Proto, "vhost_user", "vhost-user")
if not fresh then return end
vhost_user = proto

NAME = "vhost_user"

-- Every call into Wireshark costs as much as dozens of lines of Lua. So a packet is copied into a string once
-- and read from there; a number is Lua's own where that is exact (below 2^53), else Wireshark's 64-bit object.
local WIDEST = 2097152 -- of the upper half of a 64-bit number that Lua can have

local MOST_REMEMBERED = 2000
NONE = {}

-- `make` with a memory: what it made of an argument is the same every time. A full memory is emptied.
function remember(make)
  local known, count = {}, 0
  return function(key, ...)
    local found = known[key]
    if found == nil then
      if count == MOST_REMEMBERED then known, count = {}, 0 end
      found, count = make(key, ...), count + 1
      known[key] = found
    end
    return found
  end
end

-- Lua 5.2 (Wireshark 4.0) has only floating point, 5.4 (4.4) has both: arithmetic instead of bit operators.
function has_bit(number, bit)
  return floor(number / 2 ^ bit) % 2 == 1
end

function is_wide(value)
  return type(value) == "userdata"
end

-- Bit `bit` of a number or of a 64-bit object.
function test_bit(value, bit)
  if not is_wide(value) then return has_bit(value, bit) end
  if bit < 32 then return has_bit(value:lower(), bit) end
  return has_bit(value:higher(), bit - 32)
end

-- The bits of a mask, which are side by side and among the lowest 32.
function masked(value, mask)
  local lowest = 1
  while mask % (lowest * 2) == 0 do lowest = lowest * 2 end
  return floor((is_wide(value) and value:lower() or value) / lowest) % floor(mask / lowest + 1) * lowest
end

-- Whether a value has one of the bits, any without a mask.
function has_any(value, mask)
  if value == nil or value == true or value == false then return value == true end
  if mask then return masked(value, mask) ~= 0 end
  return value ~= 0
end

function wide(value)
  return is_wide(value) and value or UInt64.new(value)
end

-- A 64-bit object as the number that it is, where Lua can have it.
function narrow(value)
  if value:higher() < WIDEST then return value:higher() * 4294967296 + value:lower() end
  return value
end

function is_zero(value)
  return value == nil or value == 0
end

-- A number's lowest 8 bits, as a plain number.
function low_byte(value)
  return (is_wide(value) and value:lower() or value) % 256
end

local function u32(raw, at, little)
  local a, b, c, d = byte(raw, at + 1, at + 4)
  if little then return a + b * 256 + c * 65536 + d * 16777216 end
  return a * 16777216 + b * 65536 + c * 256 + d
end

local UNSIGNED = {
  function(raw, at) return byte(raw, at + 1) end,
  function(raw, at, little)
    local a, b = byte(raw, at + 1, at + 2)
    if little then return a + b * 256 end
    return a * 256 + b
  end,
  [4] = u32,
  [8] = function(raw, at, little)
    local low, high = u32(raw, little and at or at + 4, little), u32(raw, little and at + 4 or at, little)
    if high < WIDEST then return high * 4294967296 + low end
    return UInt64.new(low, high)
  end,
}

local function signed_64(raw, at, little)
  local low, high = u32(raw, little and at or at + 4, little), u32(raw, little and at + 4 or at, little)
  local number = high < 2147483648 and high or high - 4294967296
  if number < WIDEST and number >= -WIDEST then return number * 4294967296 + low end
  return Int64.new(low, high)
end

local function signed(size)
  if size == 8 then return signed_64 end
  local read, half = UNSIGNED[size], 2 ^ (size * 8 - 1)
  return function(raw, at, little)
    local value = read(raw, at, little)
    return value < half and value or value - half * 2
  end
end

SIZES = { B = 1, H = 2, I = 4, Q = 8, b = 1, h = 2, i = 4, q = 8 }

-- How the number of each struct code is read: (bytes, offset from 0, whether they are little-endian).
NUMBERS = {}
for code, size in pairs(SIZES) do
  NUMBERS[code] = code == code:upper() and UNSIGNED[size] or signed(size)
end
