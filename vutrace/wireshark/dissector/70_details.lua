-- What matters in a message, in a few words: the templates of vutrace/protocol, which call these functions.

local ITEMS_SHOWN, NAMES_SHOWN, CONFIG_WIDTH = 3, 8, 140

-- What a template may ask beside fields.
SPECIAL = {
  reply = function(message) return message.reply end,
  pairs = function(_, context) return context.device ~= nil and context.device.pairs == true end,
  behind = function(message) return math.max(0, message.on_wire - message.layer.least) end,
}

function is_negative(value) return decimal(value):sub(1, 1) == "-" end

local function trimmed(text) return (text:gsub("^%s+", ""):gsub("%s+$", "")) end

-- The parts that are not empty.
function join_said(parts, none)
  local said = {}
  for _, part in ipairs(parts) do
    if part ~= "" then said[#said + 1] = part end
  end
  return #said > 0 and concat(said, ", ") or none
end

local function few(names, before, behind)
  for i, name in ipairs(names) do names[i] = (before or "") .. name .. (behind or "") end
  if #names <= NAMES_SHOWN then return concat(names, " ") end
  return format("%s +%d", concat(names, " ", 1, NAMES_SHOWN), #names - NAMES_SHOWN)
end

-- Short names of virtio bits, the generic ones first: see vutrace/views/masks.py.
local function virtio_names(device, mask, without)
  local generic, others = {}, {}
  for _, bit in ipairs(set_bits(mask, without)) do
    local name = FEATURE_NAMES[bit] or (device and device.feature_names[bit]) or ("bit " .. bit)
    local list = FEATURE_NAMES[bit] and generic or others
    list[#list + 1] = name:match("_F_(.+)") or name
  end
  for _, name in ipairs(others) do generic[#generic + 1] = name end
  return generic
end

-- What is offered; in a request what is taken of it: `-` is left, `+` was never offered.
local function mask_text(mask, facts, field, message, context)
  local offered, taken, virtio = context[facts[1]], context[facts[2]], field.kind == "features"
  local before = taken
  if message.reply then before = offered end
  if mask == before then return hex(mask) .. " as before" end
  local function names(bits, without)
    if virtio then return virtio_names(context.device, bits, without) end
    return bit_names(bits, field.names, nil, without)
  end
  if message.reply or not offered then return trimmed(hex(mask) .. " " .. few(names(mask))) end
  local words = { hex(mask) }
  local left = few(names(offered, mask), "-")
  for _, each in ipairs({ virtio and "" or few(names(mask)), left ~= "" and left or "(all offered)",
    few(names(mask, offered), "+", " (not offered)") }) do
    if each ~= "" then words[#words + 1] = each end
  end
  return concat(words, " ")
end

-- The forms of a template's values; each takes (value, arguments, field or function of an item, message, context).
FORMS = {
  number = decimal, hex = hex, address = address, size = size_text, status = status_text,
  mask = mask_text,
  count = function(value, words) return count_text(value, concat(words, " ")) end,
  fourcc = function(code)
    local bytes = ""
    for place = 0, 3 do bytes = bytes .. string.char(floor(code / 256 ^ place) % 256) end
    return bytes:find("[^\32-\126]") and format("0x%x", code % 4294967296) or bytes
  end,
  sizes = function(values, words)
    local said = {}
    for i, size in ipairs(values) do
      said[i] = size == 0 and "" or format("%s %d: %s", words[1], i - 1, size_text(size))
    end
    return join_said(said, "no region")
  end,
  table = function(items, words, item, message, context)
    local said, sum = {}, UInt64.new(0)
    if #items == 0 then return "no " .. words[1] end
    for i, each in ipairs(items) do
      if i <= ITEMS_SHOWN then said[i] = item(each, message, context) end
      sum = sum + wide(each[words[2]])
    end
    local first = concat(said, ", ")
    if #items == 1 then return "1 " .. words[1] .. ", " .. first end
    local more = #items > ITEMS_SHOWN and format(", %d more", #items - ITEMS_SHOWN) or ""
    return format("%s, %s: %s%s", count_text(#items, words[1]), size_text(narrow(sum)), first, more)
  end,
}

-- A structure field by field; of one in another its values as they are.
local function generic(layer, values, context)
  local words = {}
  for _, field in ipairs(layer.fields) do
    local value, text = values[field.name], nil
    local inner = LAYERS[field.layer]
    if field.type == "nested" and value then
      text = generic(inner, value)
    elseif field.type == "listed" and value then
      text = {}
      for i, each in ipairs(value) do text[i] = generic(inner, each) end
      text = concat(text, ", ")
    elseif value ~= nil and not context and type(value) ~= "table" then
      text = type(value) == "string" and hex_bytes(value) or decimal(value)
    elseif value ~= nil and field.kind ~= "pad" then
      text = words_of(value, field, context)
    end
    if text then words[#words + 1] = field.name .. " " .. text end
  end
  return concat(words, ", ")
end

-- What a configuration space says, as far as a row goes: the values that are not zero, by weight.
local function config_words(message, raw, context)
  local words, parts = {}, config_parts(raw, message.rest - #message.values.data, message.rest, message, context)
  table.sort(parts, function(one, other) return one.field.rank < other.field.rank end)
  for _, each in ipairs(parts) do
    local value, field = each.value, each.field
    local empty = value == 0 or type(value) == "string" and not value:find("[^\0]")
    if field.kind and field.kind ~= "pad" and not empty then
      words[#words + 1] = field.name .. " " .. words_of(value, field, context)
    end
  end
  local text = concat(words, ", ")
  if #text > CONFIG_WIDTH then text = (text:sub(1, CONFIG_WIDTH):match("^(.*),") or "") .. ", …" end
  return #parts > 0 and ": " .. text or ""
end

local function make_detail(message, raw, context)
  local layer, text = message.layer, nil
  local words = not message.reply and message.spec.words or layer.words
  if words and message.count == #layer.fields then
    text = words(message.values, message, context)
    if layer.counted and layer.counted.kind == "config" then text = text .. config_words(message, raw, context) end
  else
    text = generic(layer, message.values, context)
  end
  if message.rest == message.stop then return text end
  local left = hex_bytes(raw:sub(message.rest + 1))
  if layer.secrets then left = format("%d bytes redacted", message.stop - message.rest) end
  return trimmed(text .. " " .. left)
end

-- The words stay the same as long as no more is known of the session.
function detail_of(message, raw, context)
  if message.context ~= context then
    message.context, message.detail = context, make_detail(message, raw, context)
  end
  return message.detail
end
