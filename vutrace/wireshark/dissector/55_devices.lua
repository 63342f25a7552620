-- Which device a session is about, when nobody said so, and why we think so: see
-- vutrace/session/recognition.py. A context is what is known of a session; it is copied to be changed.

local names = { { 0, "auto", 0 } }
for i, device in ipairs(DEVICES) do names[i + 1] = { i, device.name, i } end
vhost_user.prefs.device = Pref.enum("Device", 0, "The virtio device; auto finds out", names, false)
vhost_user.prefs.secrets = Pref.bool("Show keys and host pointers", false, "They are redacted otherwise")

function device_of(context)
  return context.device or NO_DEVICE
end

function copy(context)
  local new = {}
  for key, value in pairs(context) do new[key] = value end
  new.ring_names = {}
  return new
end

-- The context with a guess, if there is a reason for it and it weighs more than what was believed.
function adopt(context, device, reason, weight)
  if not reason or weight <= context.weight then return context end
  local new = copy(context)
  new.device, new.reason, new.weight = device, reason, weight
  return new
end

-- What of the words a Perl-like pattern matches, where this Wireshark has such.
local function search(pattern, words)
  local good, from, to = pcall(function() return rex_pcre2.new(pattern):find(words) end)
  return good and from and words:sub(from, to) or nil
end

-- By the words about the socket that the capture has of a command line; an older one has the line alone.
function guess_from_event(context, record)
  local attributes = {}
  for _, each in ipairs(record.attributes) do attributes[each.name] = each.value end
  for _, device in ipairs(DEVICES) do
    local reason = device.name == attributes.device and "named when it was captured"
    context = adopt(context, device, reason, WEIGHTS.said)
  end
  for _, side in ipairs(context.weight < WEIGHTS.command and { "frontend", "backend" } or NONE) do
    local words = attributes[side .. "_words"] or attributes[side .. "_command"] or ""
    for _, device in ipairs(DEVICES) do
      for _, pattern in ipairs(device.commands) do
        local found = search(pattern, words)
        local reason = found and format("the %s's command line has '%s'", PARTIES[side], found)
        context = adopt(context, device, reason, WEIGHTS.command)
      end
    end
  end
  return context
end

-- Whether an offered mask looks like a device's.
local function speaks_for(offered, device)
  for bit, on in pairs(device.telling_bits) do
    if test_bit(offered, bit) ~= on then return false end
  end
  return true
end

function guess_from_message(context, message)
  if context.weight >= WEIGHTS.command or not TELLING[message.name] then return context end
  local told = message.spec[message.reply and "reply_learns" or "learns"]
  local offered = told and told.fact == "offered" and message.values.features
  local config = message.layer == LAYERS[CONFIG] and message.values.size
  for _, device in ipairs(DEVICES) do
    context = adopt(context, device, device.messages[message.name], WEIGHTS.message)
    context = adopt(context, device, device.config_sizes[config], WEIGHTS.config_size)
    local alike = offered and device.offers and speaks_for(offered, device)
    context = adopt(context, device, alike and device.offers, WEIGHTS.features)
  end
  return context
end
