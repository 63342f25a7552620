-- A second copy (one installed, one given with -X lua_script:) leaves the field to the first.
local fresh, proto = pcall(Proto, "vhost_user", "vhost-user")
if not fresh then return end
vhost_user = proto

NAME = "vhost_user"
local ZERO = UInt64.new(0)
local function NOTHING() end

-- Lua 5.2 (Wireshark 4.0) has only floating point, 5.4 (4.4) has both: arithmetic instead of bit operators.
function has_bit(number, bit)
  return math.floor(number / 2 ^ bit) % 2 == 1
end

function is_wide(value)
  return type(value) == "userdata"
end

-- Bit `bit` of a number or of a 64-bit object.
function test_bit(value, bit)
  if not is_wide(value) then return bit < 32 and has_bit(value, bit) end
  if bit < 32 then return has_bit(value:lower(), bit) end
  return has_bit(value:higher(), bit - 32)
end

function wide(value)
  return is_wide(value) and value or UInt64.new(value)
end

function is_zero(value)
  if value == nil then return true end
  if is_wide(value) then return value:lower() == 0 and value:higher() == 0 end
  return value == 0
end

function same(one, other)
  return one ~= nil and other ~= nil and tostring(one) == tostring(other)
end

-- A number's lowest 8 bits, as a plain number.
function low_byte(value)
  return (is_wide(value) and value:lower() or value) % 256
end
