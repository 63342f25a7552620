-- What a session knows: who answers whom, what was negotiated, which device it is. Built once, on the
-- first pass over the packets; what it said of each packet is kept for every later look at it.

packets = {}
local sessions = {}
local taken, places = {}, {}
local MOST_WAITING = 4096
local interface_id = Field.new("frame.interface_id")

function vhost_user.init()
  sessions, packets = {}, {}
  taken, places = {}, {}
end

local function allot(wanted)
  local number = taken[wanted] and 0 or wanted
  while taken[number] do number = number + 1 end
  taken[number] = true
  return number
end

-- The number of a record's connection; of two with one number the later goes by the next that is free. What
-- tells them apart: interface and number, and, because the first pass of `tshark -2` does not know interfaces,
-- that a session which was there already opens again: another capture of a merged file.
local function connection_of(record)
  local found = interface_id()
  local interface = found and found.value or "unknown"
  places[interface] = places[interface] or {}
  local place = places[interface][record.connection]
  local opens = record.kind == EVENT and record.event == "open" and record.channel == "main"
  if not place or (opens and record.session <= place.session) then
    place = { number = allot(record.connection), session = 0 }
    places[interface][record.connection] = place
  end
  if opens then place.session = record.session end
  return place.number
end

-- The device of an earlier session of the connection is still there in the next.
local function new_session(earlier)
  local session = { context = { weight = 0, ring_names = {} }, waiting = {} }
  local said, guess = DEVICES[vhost_user.prefs.device], earlier and earlier.context
  if said then
    session.context = adopt(session.context, said, "named in the preferences", WEIGHTS.said)
  elseif guess then
    session.context = adopt(session.context, guess.device, guess.reason, guess.weight)
  end
  return session
end

-- One session at a time on a connection.
local function session_of(connection, record)
  local known = sessions[connection]
  if not known or known.number ~= record.session then
    known = new_session(known)
    known.number = record.session
    sessions[connection] = known
  end
  return known
end

local function learn(context, message)
  local told = message.spec[message.reply and "reply_learns" or "learns"]
  if not told then return context end
  local fact, value = told.fact, told.value
  if told.field then value = message.values[told.field] end
  if value == nil or context[fact] == value then return context end
  local new = copy(context)
  new[fact] = value
  if fact == "features" then new.packed = test_bit(value, RING_PACKED) end
  return new
end

local function has_protocol(context, bit)
  return context.protocol_features ~= nil and test_bit(context.protocol_features, bit)
end

-- Whether a request is answered: "yes", "maybe" or nil.
local function owed(message, record, context)
  local rule = message.spec.rule
  if rule == "NEVER" then return nil end
  if rule == "ALWAYS" or (rule == "LOG" and has_protocol(context, PROTOCOL_BITS.log_shmfd)) then return "yes" end
  if rule == "ACK_OR_POSTCOPY" and context.postcopy == 1 and not message.need_reply then
    return record.nfds > 0 and "yes" or nil
  end
  if not message.need_reply then return nil end
  return has_protocol(context, PROTOCOL_BITS.reply_ack) and "yes" or "maybe"
end

-- Nanoseconds between packets, by their times since the first: absolute ones are too large for a Lua number.
local function since(pinfo, earlier)
  return floor((pinfo.rel_ts - earlier) * 1e9 + 0.5)
end

-- Pair a reply with the oldest request of its number.
local function answer(session, message, pinfo, seen)
  local waiting, left, place = session.waiting[message.channel] or {}, {}, 1
  while waiting[place] and waiting[place].number ~= message.request do place = place + 1 end
  local found = waiting[place]
  if not found then return complain(seen, "sequence", "a reply that no request waits for") end
  for i, request in ipairs(waiting) do
    local passed = i < place and request.owed == "yes"
    if passed and not request.overtaken then
      complain(seen, "sequence", "overtakes the reply that %s [%d] waits for", request.name, request.packet)
      request.overtaken = true
    end
    if passed or i > place then left[#left + 1] = request end
  end
  session.waiting[message.channel] = left
  seen.response_to, seen.latency = found.packet, since(pinfo, found.time)
  seen.ring = found.ring
  packets[found.packet].response_in = pinfo.number
end

local function ask(session, message, record, pinfo)
  local due = owed(message, record, session.context)
  if not due then return end
  local waiting = session.waiting[message.channel] or {}
  session.waiting[message.channel] = waiting
  if #waiting == MOST_WAITING then table.remove(waiting, 1) end
  waiting[#waiting + 1] = {
    number = message.request, name = message.name, packet = pinfo.number, time = pinfo.rel_ts, owed = due,
    ring = message.ring,
  }
end

local function name_ring(context, ring)
  local device = context.device
  if not device then return format("q%d", ring) end
  local queues = context.queue_num or 0
  if device.control_ring and queues > 0 and ring == queues * (device.pairs and 2 or 1) then
    return device.control_ring
  end
  local choice, weight = 1, 1
  for _, bit in ipairs(device.ring_bits) do
    if context.features and test_bit(context.features, bit) then choice = choice + weight end
    weight = weight * 2
  end
  local rule = device.rings[choice]
  if rule.exact[ring] then return rule.exact[ring] end
  local turn = (ring - rule.shift) % #rule.words
  local number = floor((ring - rule.shift) / #rule.words)
  return (rule.words[turn + 1]:gsub("%%d", format("%d", number)))
end

local function ring_name(context, ring)
  local names = context.ring_names
  names[ring] = names[ring] or name_ring(context, ring)
  return names[ring]
end

-- The replies that can come no more: of a closed channel, or of all when the main one closed.
local function unanswered(session, seen, closed)
  for channel, waiting in pairs(session.waiting) do
    if closed == "main" or channel == closed then session.waiting[channel] = nil else waiting = {} end
    for _, request in ipairs(waiting) do
      if request.owed == "yes" then
        complain(seen, "sequence", "%s [%d] was never answered", request.name, request.packet)
      end
    end
  end
end

local function see_message(seen, session, record, message, pinfo)
  local context = guess_from_message(session.context, message)
  session.context, seen.context, seen.own = context, context, message.problems
  if message.lawful then
    if message.reply then
      answer(session, message, pinfo, seen)
    else
      ask(session, message, record, pinfo)
    end
  end
  session.context = learn(context, message)
  seen.ring = message.ring or seen.ring
  if seen.ring then seen.ring_name = ring_name(session.context, seen.ring) end
end

-- What is known of a record, at its first sight; `own` are the problems of a message by itself.
function see(pinfo, record, message)
  local seen = { problems = NONE, own = NONE, connection = connection_of(record) }
  local session = session_of(seen.connection, record)
  if message then
    see_message(seen, session, record, message, pinfo)
  elseif record.kind == EVENT then
    session.context = guess_from_event(session.context, record)
    seen.context = session.context
    if record.event == "close" then unanswered(session, seen, record.channel) end
  end
  return seen
end
