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

-- The first pass of `tshark -2` has no fields of the frame: then the sockets are not known.
-- The sockets in an interface's name, "A FRONTEND ⇄ BACKEND", without listen: or connect:.
local function sockets()
  local found, paths = interface_name(), {}
  local front, back = (found and tostring(found.value) or ""):match("^%u+ (.-) ⇄ (.*)$")
  for side, endpoint in pairs({ frontend = front or "", backend = back or "" }) do
    local plain = endpoint:gsub("%%E2%%87%%84", "⇄"):gsub("%%25", "%%")
    local how, path = plain:match("^(%l+):(.*)$")
    if how == "listen" or how == "connect" then plain = path elseif how == "fd" then plain = "" end
    paths[side] = plain
  end
  return paths
end

-- Perl-like patterns, where this Wireshark has them: the place and the first group of a match.
local function search(pattern, text)
  if not rex_pcre2 then return nil end
  local good, from, to, group = pcall(function() return rex_pcre2.new(pattern):find(text) end)
  if good and from then return from, to, group or nil end
end

local function escaped(text)
  return (text:gsub("[^%w_/]", "\\%0"))
end

-- Each word of a command with the option before it; `--option=value` is a word by itself.
local function options(command)
  local said, option, program = {}, "", nil
  for word in command:gmatch("%S+") do
    local pure = false
    if not program then
      program, pure = word, true
    elseif word:sub(1, 1) == "-" then
      option = word:match("^[^=]*")
      pure = option == word
    end
    if not pure then said[#said + 1] = { option = option, word = word } end
  end
  return said, program or ""
end

local function mentions(word, path)
  return path ~= "" and search("(?<![\\w./-])" .. escaped(path) .. "(?![\\w./-])", word) ~= nil
end

local function hangs_on(word, chardev)
  return search([[\bchardev"?[=:]"?]] .. escaped(chardev) .. [[(?![\w.-])]], word) ~= nil
end

-- The words of a command that hang on the chardevs of our socket.
local function on_chardevs(said, chardevs, path)
  local words = {}
  for _, each in ipairs(said) do
    local ours = false
    for _, chardev in ipairs(chardevs) do
      if mentions(chardev, path) then
        local _, _, id = search([[\bid"?[=:]"?([^,"}]+)]], chardev)
        ours = ours or (id and hangs_on(each.word, id))
      end
    end
    if ours then words[#words + 1] = each.word end
  end
  return concat(words, " ")
end

-- The part of a command line that speaks of the socket: see vutrace/session/recognition.py.
local function relevant(command, path)
  local said, program = options(command)
  local chardevs, ours = {}, {}
  for _, each in ipairs(said) do
    if each.option == "-chardev" or each.option == "--chardev" then chardevs[#chardevs + 1] = each.word end
    if mentions(each.word, path) then
      ours[#ours + 1] = (each.option .. " " .. each.word):gsub(path:gsub("%p", "%%%0"), "…")
    end
  end
  if #chardevs == 1 and path == "" then path = chardevs[1]:match('path"?[=:]"?([^,"}]+)') or "" end
  if #chardevs > 0 then return on_chardevs(said, chardevs, path) end
  if #ours == 0 then return command end
  return program .. " " .. concat(ours, " ")
end

function guess_from_event(context, record)
  local commands = {}
  for _, each in ipairs(record.attributes) do commands[each.name] = each.value end
  for _, device in ipairs(DEVICES) do
    if device.name == commands.device then
      context = adopt(context, device, "named when it was captured", WEIGHTS.said)
    end
  end
  if context.weight >= WEIGHTS.command then return context end
  local paths = sockets()
  for _, side in ipairs({ "frontend", "backend" }) do
    local words = relevant(commands[side .. "_command"] or "", paths[side])
    for _, device in ipairs(DEVICES) do
      for _, pattern in ipairs(device.commands) do
        local from, to = search(pattern, words)
        local reason = from and format("the %s's command line has '%s'", PARTIES[side], words:sub(from, to))
        if from then context = adopt(context, device, reason, WEIGHTS.command) end
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
local TELLING = { GET_FEATURES = true, GET_CONFIG = true }
for _, device in ipairs(DEVICES) do
  for name in pairs(device.messages) do TELLING[name] = true end
end

function guess_from_message(context, message)
  if context.weight >= WEIGHTS.command or not TELLING[message.name] then return context end
  local offered = message.name == "GET_FEATURES" and message.reply and message.values.features
  local config = message.name == "GET_CONFIG" and message.values.size
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
