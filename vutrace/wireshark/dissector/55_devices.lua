-- Which device a session is about, when nobody said so, and why we think so: see
-- vutrace/session/recognition.py. A context is what is known of a session; it is copied to be changed.

local interface_name = Field.new("frame.interface_name")
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

-- The sockets in an interface's name, "A FRONTEND ⇄ BACKEND", without listen: or connect:. The first pass of
-- `tshark -2` has no fields of the frame: then they are not known.
local function sockets()
  local found, paths = interface_name(), {}
  local front, back = (found and tostring(found.value) or ""):match("^%u+ (.-) ⇄ (.*)$")
  for side, endpoint in pairs({ frontend = front or "", backend = back or "" }) do
    local plain = endpoint:gsub("%%E2%%87%%84", "⇄"):gsub("%%25", "%%")
    local how, path = plain:match("^(%l+):(.*)$")
    paths[side] = (how == "listen" or how == "connect") and path or how ~= "fd" and plain or ""
  end
  return paths
end

-- Perl-like patterns, where this Wireshark has them: the matched text and its first group.
local function search(pattern, text)
  if not rex_pcre2 then return nil end
  local good, from, to, group = pcall(function() return rex_pcre2.new(pattern):find(text) end)
  if good and from then return text:sub(from, to), group or nil end
end

local function escaped(text) return (text:gsub("[^%w_/]", "\\%0")) end
local function base(path) return path:match("[^/]*$") end

-- Whether a word names the path, and not one that only begins or ends like it.
local function mentions(word, path, before)
  return path ~= "" and search("(?<![" .. before .. "])" .. escaped(path) .. "(?![\\w./-])", word) ~= nil
end

local function parameter(word, key)
  local _, value = search("\\b" .. key .. [["?[=:]"?([^,"}]+)]], word)
  return value
end

local function hangs_on(word, key, name)
  return name and search("\\b" .. key .. [["?[=:]"?]] .. escaped(name) .. [[(?![\w.-])]], word) ~= nil
end

-- What in a list meets a test.
local function those(list, test)
  local found = {}
  for _, each in ipairs(list) do
    if test(each) then found[#found + 1] = each end
  end
  return found
end

-- The words of a command, each with the option before it; `--option=value` is a word by itself.
local function words_of(command)
  local words, option, program = {}, "", nil
  for word in command:gmatch("%S+") do
    local dashed = program and word:sub(1, 1) == "-"
    if dashed then option = word:match("^[^=]*") end
    if program and not (dashed and option == word) then
      words[#words + 1] = { option = option, text = word, chardev = option:match("^%-%-?chardev$") ~= nil }
    end
    program = program or base(word)
  end
  return words, program or ""
end

-- What uses a chardev of QEMU's, and what uses the network device that does.
local function chain(words, chardev)
  local id, nets = parameter(chardev.text, "id"), {}
  return those(words, function(word)
    local on = hangs_on(word.text, "chardev", id)
    if on and word.option:match("^%-%-?netdev$") then nets[#nets + 1] = parameter(word.text, "id") end
    return on
  end), nets
end

local function chain_text(words, chardev)
  local on, nets = chain(words, chardev)
  for _, net in ipairs(nets) do
    for _, card in ipairs(those(words, function(word) return hangs_on(word.text, "netdev", net) end)) do
      on[#on + 1] = card
    end
  end
  for i, word in ipairs(on) do on[i] = word.text end
  return concat(on, " ")
end

-- The part of a command line that speaks of the socket: see vutrace/session/command_line.py.
local function relevant(command, path)
  local words, program = words_of(command)
  local chardevs = those(words, function(word) return word.chardev end)
  local exact = those(#chardevs > 0 and chardevs or words, function(word) return mentions(word.text, path, "\\w./-") end)
  if #chardevs == 0 then
    if #exact == 0 then exact = those(words, function(word) return mentions(word.text, base(path), "\\w.-") end) end
    if #exact == 0 then return command end
    local name = base(path):gsub("%p", "%%%0")
    for i, word in ipairs(exact) do
      exact[i] = (word.option .. " " .. word.text):gsub("[%w_./@-]*" .. name .. "%f[^%w_./-]", "…")
    end
    return program .. " " .. concat(exact, " ")
  end
  local ours, last = exact, base(path)
  if #ours == 0 and last ~= "" then
    ours = those(chardevs, function(word) return base(parameter(word.text, "path") or "") == last end)
  end
  if #ours == 0 then
    ours = those(chardevs, function(word) return search("\\bvhost-user\\b", chain_text(words, word)) ~= nil end)
  end
  if #ours ~= 1 then ours = exact end -- several devices and none of them is ours for sure
  for i, word in ipairs(ours) do ours[i] = chain_text(words, word) end
  return concat(ours, " ")
end

function guess_from_event(context, record)
  local attributes = {}
  for _, each in ipairs(record.attributes) do attributes[each.name] = each.value end
  for _, device in ipairs(DEVICES) do
    if device.name == attributes.device then
      context = adopt(context, device, "named when it was captured", WEIGHTS.said)
    end
  end
  if context.weight >= WEIGHTS.command then return context end
  local paths = sockets()
  for _, side in ipairs({ "frontend", "backend" }) do
    local words = relevant(attributes[side .. "_command"] or "", paths[side])
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
