-- The packet details of a message. `context` is what is known of the session, and of the message that
-- a field is in: `little` is the host's byte order, `asks` that it only makes room for an answer.

local NONE = {}
local add_layer

local function add_plain(tree, field, range, little)
  return is_little(field, little) and tree:add_le(field.proto, range) or tree:add(field.proto, range)
end

-- Bits and parts of a word; those of 64-bit words are read from the half that they are in.
local function add_masked(item, each, range, little)
  if not item:referenced(each.proto) then return end
  if range:len() == 8 then
    local upper_first = not little
    range = range(each.high == upper_first and 0 or 4, 4)
  end
  return little and item:add_le(each.proto, range) or item:add(each.proto, range)
end

local function add_number(tree, field, tvb, at, value, context, little)
  local range = tvb(at, SIZES[field.code])
  local order = is_little(field, little)
  if field.kind == "secret" and not vhost_user.prefs.secrets then
    return tree:add(range, field.name .. ": redacted")
  end
  local item = add_plain(tree, field, range, little)
  if field.kind ~= "dec" and field.kind ~= "hex" and field.kind ~= "enum" and field.kind ~= "ring" or field.unit then
    item:append_text(" (" .. words_of(value, field, context) .. ")")
  end
  for _, each in ipairs(field.bit_fields or NONE) do add_masked(item, each, range, order) end
  for _, part in ipairs(field.parts or NONE) do add_masked(item, part.field, range, order) end
  if field.kind == "features" then
    for _, each in ipairs(FEATURE_FIELDS) do add_masked(item, each, range, order) end
    for _, each in ipairs(context.device and context.device.feature_fields or NONE) do
      add_masked(item, each, range, order)
    end
  end
end

local function add_config(item, range, values, context)
  for _, each in ipairs(config_parts(range, values, context)) do
    add_layer(item, { fields = { each.field } }, range, each.at, each.stop, context, context.little)
  end
end

local function add_bytes(tree, field, tvb, at, length, context, values)
  if length == 0 then return end
  local range = tvb(at, length)
  if field.kind == "secret" and not vhost_user.prefs.secrets then
    tree:add(range, string.format("%s: %d bytes, redacted", field.name, length))
  elseif field.kind == "text" and not field.plain then
    tree:add(field.proto, range, text_bytes(range))
  else
    local item = tree:add(field.proto, range)
    if field.kind == "config" then add_config(item, range, values, context) end
  end
end

local function item_text(layer, values, context)
  local words = {}
  for _, field in ipairs(layer.fields) do
    local value = values[field.name]
    if value ~= nil and field.kind and field.kind ~= "pad" then
      words[#words + 1] = field.name .. " " .. words_of(value, field, context)
    end
  end
  return table.concat(words, ", ")
end

local function add_structure(tree, field, tvb, at, values, number, context, little)
  local layer = LAYERS[field.layer]
  local item = tree:add(field.proto, tvb(at, layer.least))
  item:append_text(string.format("%s: %s", number and " " .. number or "", item_text(layer, values, context)))
  add_layer(item, layer, tvb, at, at + layer.least, context, little)
end

local ADDERS = {
  number = function(tree, field, tvb, at, _, value, _, context, little)
    add_number(tree, field, tvb, at, value, context, little)
  end,
  fixed = function(tree, field, tvb, at, behind, _, values, context)
    add_bytes(tree, field, tvb, at, behind - at, context, values)
  end,
  tail = function(tree, field, tvb, at, behind, _, values, context)
    add_bytes(tree, field, tvb, at, behind - at, context, values)
  end,
  array = function(tree, field, tvb, at, _, _, _, _, little)
    local size = SIZES[field.code]
    for i = 0, field.count - 1 do
      local item = add_plain(tree, field, tvb(at + i * size, size), little)
      item:append_text(string.format(" [%d]", i))
    end
  end,
  nested = function(tree, field, tvb, at, _, value, _, context, little)
    add_structure(tree, field, tvb, at, value, nil, context, little)
  end,
  listed = function(tree, field, tvb, at, _, value, _, context, little)
    local size = LAYERS[field.layer].least
    for i, each in ipairs(value) do
      add_structure(tree, field, tvb, at + (i - 1) * size, each, i - 1, context, little)
    end
  end,
}

add_layer = function(tree, layer, tvb, at, stop, context, little)
  local values = {}
  if at == stop then return end
  for _, field in ipairs(layer.fields) do
    local value, behind = READERS[field.type](field, tvb, at, stop, little, values)
    if value == nil then return end
    values[field.name] = value
    ADDERS[field.type](tree, field, tvb, at, behind, value, values, context, little)
    at = behind
  end
end

local function generated(item)
  item:set_generated()
  return item
end

local FLAG_FIELDS = { F.version, F.reply, F.need_reply }

function add_header(tree, tvb, message, record)
  generated(tree:add(F.message, message.name))
  if message.headless then return end
  local add = record.big_endian and tree.add or tree.add_le
  local at = record.body
  add(tree, F.request, tvb(at, 4)):append_text(" (" .. message.name .. ")")
  local flags = add(tree, F.flags, tvb(at + 4, 4))
  if message.reply then flags:append_text(" reply") end
  if message.need_reply then flags:append_text(" need-reply") end
  local range = tvb(at + 4, 4)
  for _, field in ipairs(FLAG_FIELDS) do add(flags, field, range) end
  add(tree, F.size, tvb(at + 8, 4))
end

function add_payload(tree, tvb, message, context, little)
  if message.stop <= message.at then return end
  local range = tvb(message.at, message.stop - message.at)
  local hidden = message.layer.secrets and not vhost_user.prefs.secrets
  local item = hidden and tree:add(range, "Payload") or tree:add(F.payload, range)
  item:append_text(": " .. message.layer.title)
  add_layer(item, message.layer, tvb, message.at, message.rest, context, little)
  if message.rest == message.stop then return end
  range = tvb(message.rest, message.stop - message.rest)
  if hidden then tree:add(range, string.format("%d more bytes, redacted", range:len())) else tree:add(F.rest, range) end
end

function add_meaning(tree, message, seen, detail)
  if seen.ring then
    generated(tree:add(F.ring, seen.ring))
    generated(tree:add(F.ring_name, seen.ring_name))
  end
  if detail ~= "" then generated(tree:add(F.detail, detail)) end
  if seen.response_in then generated(tree:add(F.response_in, seen.response_in)) end
  if seen.response_to then
    generated(tree:add(F.response_to, seen.response_to))
    generated(tree:add(F.time, NSTime.new(math.floor(seen.latency / 1e9), seen.latency % 1000000000)))
  end
  if seen.context.device then
    local device = generated(tree:add(F.device, seen.context.device.name))
    generated(device:add(F.device_reason, seen.context.reason))
  end
end

function add_problems(tree, ...)
  for _, problems in ipairs({ ... }) do
    for _, problem in ipairs(problems) do
      local item = generated(tree:add(F.problem, problem[2]))
      item:add_proto_expert_info(EXPERTS[problem[1]], problem[2])
    end
  end
end
