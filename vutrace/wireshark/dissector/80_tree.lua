-- The packet details of a message. `context` is what is known of its session; `packet` has the bytes, as
-- Wireshark's `tvb` and as Lua's `raw`, and the message.

local add_layer, ADDERS

-- Whether one of some fields is asked for, by a filter or a column; everything is where the tree is to be seen.
function wants(tree, list)
  for i = 1, VISIBLE and 0 or #list do
    if referenced(tree, list[i]) then return true end
  end
  return VISIBLE
end

-- The fields of a layer and of those in it; nothing for one with those of a device, which are many.
local function protos_of(layer, list)
  for _, field in ipairs(layer.fields) do
    if field.kind == "features" or field.kind == "config" then return nil end
    list[#list + 1] = field.proto
    for _, each in ipairs(field.bit_fields or field.part_fields or NONE) do list[#list + 1] = each.proto end
    if field.layer and not protos_of(LAYERS[field.layer], list) then return nil end
  end
  return list
end

for _, layer in pairs(LAYERS) do layer.protos = protos_of(layer, { F.payload, F.rest }) end

local function add_plain(tree, field, range, little)
  return is_little(field, little) and add_le(tree, field.proto, range) or add(tree, field.proto, range)
end

-- Bits and parts of a word; those of 64-bit words are read from the half that they are in.
local function add_masked(item, list, range, little)
  local add, upper, lower = little and add_le or add, range, range
  if range:len() == 8 then upper, lower = range(little and 4 or 0, 4), range(little and 0 or 4, 4) end
  for _, each in ipairs(list) do
    if VISIBLE or referenced(item, each.proto) then add(item, each.proto, each.high and upper or lower) end
  end
end

local PLAIN = { dec = true, hex = true, enum = true, ring = true }

local function add_number(tree, field, packet, at, behind, value, context)
  local range, little = packet.tvb(at, behind - at), is_little(field, packet.message.little)
  if field.kind == "secret" and not vhost_user.prefs.secrets then
    return add(tree, range, field.name .. ": redacted")
  end
  local item = little and add_le(tree, field.proto, range) or add(tree, field.proto, range)
  if field.unit or not PLAIN[field.kind] then append_text(item, " (" .. words_of(value, field, context) .. ")") end
  if field.bit_fields then add_masked(item, field.bit_fields, range, little) end
  if field.part_fields then add_masked(item, field.part_fields, range, little) end
  if field.kind == "features" then
    add_masked(item, FEATURE_FIELDS, range, little)
    add_masked(item, context.device and context.device.feature_fields or NONE, range, little)
  end
end

local function add_config(item, packet, at, stop, context)
  for _, each in ipairs(config_parts(packet.raw, at, stop, packet.message, context)) do
    ADDERS[each.field.type](item, each.field, packet, each.at, each.stop, each.value, context)
  end
end

local function add_bytes(tree, field, packet, at, behind, value, context)
  if behind == at then return end
  local range = packet.tvb(at, behind - at)
  if field.kind == "secret" and not vhost_user.prefs.secrets then
    add(tree, range, format("%s: %d bytes, redacted", field.name, behind - at))
  elseif field.kind == "text" and not field.plain then
    add(tree, field.proto, range, value)
  else
    local item = add(tree, field.proto, range)
    if field.kind == "config" then add_config(item, packet, at, behind, context) end
  end
end

local function item_text(layer, values, context)
  local words = {}
  for _, field in ipairs(layer.fields) do named_words(words, field, values[field.name], context) end
  return concat(words, ", ")
end

local function add_structure(tree, field, packet, at, values, number, context)
  local layer = LAYERS[field.layer]
  local item = add(tree, field.proto, packet.tvb(at, layer.least))
  append_text(item, format("%s: %s", number and " " .. number or "", item_text(layer, values, context)))
  add_layer(item, layer, packet, at, at + layer.least, values, context)
end

ADDERS = {
  number = add_number,
  fixed = add_bytes,
  tail = add_bytes,
  text = add_bytes,
  array = function(tree, field, packet, at)
    local size = SIZES[field.code]
    for i = 0, field.count - 1 do
      local item = add_plain(tree, field, packet.tvb(at + i * size, size), packet.message.little)
      append_text(item, format(" [%d]", i))
    end
  end,
  nested = function(tree, field, packet, at, _, value, context)
    add_structure(tree, field, packet, at, value, nil, context)
  end,
  listed = function(tree, field, packet, at, _, value, context)
    local size = LAYERS[field.layer].least
    for i, each in ipairs(value) do
      add_structure(tree, field, packet, at + (i - 1) * size, each, i - 1, context)
    end
  end,
}

local function end_of(field, at, stop, value)
  if field.width then return at + field.width end
  return field.type == "listed" and at + #value * LAYERS[field.layer].least or stop
end

add_layer = function(tree, layer, packet, at, stop, values, context)
  for _, field in ipairs(layer.fields) do
    local value = values[field.name]
    if value == nil then return end
    local behind = end_of(field, at, stop, value)
    ADDERS[field.type](tree, field, packet, at, behind, value, context)
    at = behind
  end
end

-- An item that says what is not in the bytes.
local function add_generated(tree, field, value)
  return set_generated(add(tree, field, value))
end

-- The same where it is to be seen or asked for.
local function tell(tree, field, value)
  if VISIBLE or referenced(tree, field) then return add_generated(tree, field, value) end
end

local FLAG_FIELDS = { F.version, F.reply, F.need_reply }

function add_header(tree, packet)
  local message, tvb = packet.message, packet.tvb
  add_generated(tree, F.message, message.name)
  if message.headless then return end
  local add, at = message.little and add_le or add, message.at
  append_text(add(tree, F.request, tvb(at - 12, 4)), " (" .. message.name .. ")")
  local range = tvb(at - 8, 4)
  if message.flags_unknown then
    tree:add(range, "Flags: not known" .. (message.reply and ", a reply" or ""))
  else
    local flags = add(tree, F.flags, range)
    if message.reply then append_text(flags, " reply") end
    if message.need_reply then append_text(flags, " need-reply") end
    for _, field in ipairs(FLAG_FIELDS) do add(flags, field, range) end
  end
  if message.size_unknown then
    tree:add(tvb(at - 4, 4), "Size: not known")
  else
    add(tree, F.size, tvb(at - 4, 4))
  end
end

function add_payload(tree, packet, context)
  local message, tvb = packet.message, packet.tvb
  if message.stop <= message.at then return end
  if message.payload_unknown then
    tree:add(tvb(message.at, message.stop - message.at), "Payload: not known, or only in part")
    return
  end
  local range = tvb(message.at, message.stop - message.at)
  local hidden = message.layer.secrets and not vhost_user.prefs.secrets
  local item = hidden and add(tree, range, "Payload") or add(tree, F.payload, range)
  append_text(item, ": " .. message.layer.title)
  add_layer(item, message.layer, packet, message.at, message.rest, message.values, context)
  if message.rest == message.stop then return end
  range = tvb(message.rest, message.stop - message.rest)
  if hidden then add(tree, range, format("%d more bytes, redacted", range:len())) else add(tree, F.rest, range) end
end

local STATE_FIELDS = { F.state_after, F.state_before }

-- The state of each ring that a packet is about, before (unless nothing was known of it) and after.
function add_changes(tree, changes)
  if changes == NONE or not wants(tree, STATE_FIELDS) then return end
  for _, each in ipairs(changes) do
    local item = add_generated(tree, F.state_after, each.after.state)
    append_text(item, " (" .. each.name .. ")")
    if each.before then add_generated(item, F.state_before, each.before.state) end
  end
end

function add_meaning(tree, seen, detail)
  if seen.ring then
    tell(tree, F.ring, seen.ring)
    tell(tree, F.ring_name, seen.ring_name)
  end
  add_changes(tree, seen.changes)
  if detail ~= "" then tell(tree, F.detail, detail) end
  if seen.response_in then tell(tree, F.response_in, seen.response_in) end
  if seen.response_to then
    tell(tree, F.response_to, seen.response_to)
    tell(tree, F.time, NSTime.new(floor(seen.latency / 1e9), seen.latency % 1e9))
  end
  if seen.context.device then
    tell(tree, F.device, seen.context.device.name)
    tell(tree, F.device_reason, seen.context.reason)
  end
end

local function add_expert(item, problem)
  item:add_proto_expert_info(EXPERTS[problem.severity], problem.rule .. ": " .. problem.text)
end

-- What the plug-in sees by itself. `told`: it is among the findings, too, and is no news for the expert.
function add_problems(tree, problems, told)
  for _, problem in ipairs(problems) do
    local item = add_generated(tree, F.problem, problem.text)
    if not told then add_expert(item, problem) end
  end
end

function add_findings(tree, tvb, findings)
  for _, each in ipairs(findings) do
    local range = tvb(each.at, each.length)
    local item = add(tree, F.finding, range, each.rule .. ": " .. each.text)
    add(item, F.finding_rule, range, each.rule)
    add(item, F.finding_severity, range, each.severity)
    add(item, F.finding_text, range, each.text)
    add_expert(item, each)
  end
end
