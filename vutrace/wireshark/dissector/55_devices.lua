-- Which device a session is about, when nobody said so, and why we think so: see
-- vutrace/session/recognition.py. A context is what is known of a session; it is copied to be changed.

local names = { { 0, "auto", 0 } }
for i, device in ipairs(DEVICES) do names[i + 1] = { i, device.name, i } end
vhost_user.prefs.device = Pref.enum("Device", 0, "The virtio device; auto finds out", names, false)
vhost_user.prefs.secrets = Pref.bool("Show keys and host pointers", false, "They are redacted otherwise")

function copy(context)
  local new = {}
  for key, value in pairs(context) do new[key] = value end
  new.ring_names = {}
  return new
end

function adopt(context, device, reason, weight)
  if weight <= context.weight then return context end
  local new = copy(context)
  new.device, new.reason, new.weight = device, reason, weight
  return new
end

-- Perl-like patterns, where this Wireshark has them: the matched text and its first group.
local function search(pattern, text)
  if not rex_pcre2 then return nil end
  local good, from, to, group = pcall(function() return rex_pcre2.new(pattern):find(text) end)
  if good and from then return text:sub(from, to), group or nil end
end

-- By the words about the socket that the capture has of a command line; an older one has the line alone.
function guess_from_event(context, record)
  local attributes = {}
  for _, each in ipairs(record.attributes) do attributes[each.name] = each.value end
  for _, device in ipairs(DEVICES) do
    if device.name == attributes.device then
      context = adopt(context, device, "named when it was captured", WEIGHTS.said)
    end
  end
  if context.weight >= WEIGHTS.command then return context end
  for _, side in ipairs({ "frontend", "backend" }) do
    local words = attributes[side .. "_words"] or attributes[side .. "_command"] or ""
    for _, device in ipairs(DEVICES) do
      for _, pattern in ipairs(device.commands) do
        local found = search(pattern, words)
        local reason = found and format("the %s's command line has '%s'", PARTIES[side], found)
        if found then context = adopt(context, device, reason, WEIGHTS.command) end
      end
    end
  end
  return context
end

local function speaks_for(offered, device)
  if #device.with == 0 then return false end
  for _, bit in ipairs(device.with) do
    if not test_bit(offered, bit) then return false end
  end
  for _, bit in ipairs(device.without) do
    if test_bit(offered, bit) then return false end
  end
  return true
end

-- The messages that may tell a device.
local telling = {}
for _, name in ipairs(TELLING) do telling[name] = true end

function guess_from_message(context, message)
  if context.weight >= WEIGHTS.command or not telling[message.name] then return context end
  local told = message.spec[message.reply and "reply_learns" or "learns"]
  local offered = told and told.fact == "offered" and message.values.features
  local config = message.layer == LAYERS[CONFIG] and message.values.size
  for _, device in ipairs(DEVICES) do
    if device.messages[message.name] then
      context = adopt(context, device, "only " .. device.name .. " uses " .. message.name, WEIGHTS.message)
    end
    if config and device.config_sizes[config] then
      local reason = format("a configuration space of %d bytes", config)
      context = adopt(context, device, reason, WEIGHTS.config_size)
    end
    if offered and speaks_for(offered, device) then
      context = adopt(context, device, device.offers .. " offered", WEIGHTS.features)
    end
  end
  return context
end
