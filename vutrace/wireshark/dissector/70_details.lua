-- What matters in a message, in a few words: the templates of vutrace/protocol, which call these functions.

-- What a template may ask beside fields.
SPECIAL = {
  reply = function(message) return message.reply end,
  pairs = function(_, context) return device_of(context).pairs == true end,
  behind = function(message) return math.max(0, message.on_wire - message.layer.least) end,
}

function is_negative(value) return decimal(value):sub(1, 1) == "-" end

-- The parts that are not empty.
function join_said(parts, none, between)
  local said = {}
  for _, part in ipairs(parts) do
    if part ~= "" then said[#said + 1] = part end
  end
  return #said > 0 and concat(said, between or ", ") or none
end

-- A value by its field's name, where it says anything.
function named_words(words, field, value, context)
  if value ~= nil and field.kind and field.kind ~= "pad" then
    words[#words + 1] = field.name .. " " .. words_of(value, field, context)
  end
end

local function few(names, before, behind)
  for i, name in ipairs(names) do names[i] = (before or "") .. name .. (behind or "") end
  if #names <= NAMES_SHOWN then return concat(names, " ") end
  return format("%s +%d", concat(names, " ", 1, NAMES_SHOWN), #names - NAMES_SHOWN)
end

-- What is offered; in a request what is taken of it: `-` is left, `+` was never offered.
local function mask_text(mask, facts, field, message, context)
  local offered, virtio = context[facts[1]], field.kind == "features"
  local rows = virtio and device_of(context).short_features or field.bits
  local function names(bits, without) return bit_names(bits, rows, without) end
  if mask == context[facts[message.reply and 1 or 2]] then return hex(mask) .. " as before" end
  if message.reply or not offered then return join_said({ hex(mask), few(names(mask)) }, "", " ") end
  local left = few(names(offered, mask), "-")
  if left == "" then left = "(all offered)" end
  local taken, more = virtio and "" or few(names(mask)), few(names(mask, offered), "+", " (not offered)")
  return join_said({ hex(mask), taken, left, more }, "", " ")
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
    local value, inner, texts = values[field.name], LAYERS[field.layer], {}
    if inner and value then
      for i, each in ipairs(field.type == "listed" and value or { value }) do texts[i] = generic(inner, each) end
      words[#words + 1] = field.name .. " " .. concat(texts, ", ")
    elseif value ~= nil and not context and type(value) ~= "table" then
      words[#words + 1] = field.name .. " " .. (type(value) == "string" and hex_bytes or decimal)(value)
    else
      named_words(words, field, value, context)
    end
  end
  return concat(words, ", ")
end

-- What a configuration space says, as far as a row goes: the values that are not zero, by weight.
local function config_words(message, raw, context)
  local words, parts = {}, config_parts(raw, message.rest - #message.values.data, message.rest, message, context)
  table.sort(parts, function(one, other) return one.field.rank < other.field.rank end)
  for _, each in ipairs(parts) do
    local empty = each.value == 0 or type(each.value) == "string" and not each.value:find("[^\0]")
    if not empty then named_words(words, each.field, each.value, context) end
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
    if layer == LAYERS[CONFIG] then text = text .. config_words(message, raw, context) end
  else
    text = generic(layer, message.values, context)
  end
  if message.rest == message.stop then return text end
  local left = layer.secrets and format("%d bytes redacted", message.stop - message.rest)
  return join_said({ text, left or hex_bytes(raw:sub(message.rest + 1)) }, "", " ")
end

-- The words stay the same as long as no more is known of the session.
function detail_of(message, raw, context)
  if message.context ~= context then
    message.context, message.detail = context, make_detail(message, raw, context)
  end
  return message.detail
end
