-- What a session knows: who answers whom, what was negotiated, which device it is. Built once, on the
-- first pass over the packets; what it said of each packet is kept for every later look at it.

packets = {}
local sessions = {}
local numbers, taken, shown, openings = {}, {}, {}, {}
local MOST_WAITING = 4096
local interface_id = Field.new("frame.interface_id")

function vhost_user.init()
  sessions, packets = {}, {}
  numbers, taken, shown, openings = {}, {}, {}, {}
end

local function allot(wanted)
  local number = taken[wanted] and 0 or wanted
  while taken[number] do number = number + 1 end
  taken[number] = true
  return number
end

-- What tells a connection from others: interface and number, and, because the first pass of `tshark -2`
-- does not know interfaces, that a session which was there already opens again: another capture of a merged file.
local function connection_key(record)
  local found = interface_id()
  local key = string.format("%s:%d", found and tostring(found.value) or "", record.connection)
  local opened = openings[key] or { times = 0, session = 0 }
  if record.kind == EVENT and record.event == "open" and record.channel == "main" then
    if record.session <= opened.session then opened.times = opened.times + 1 end
    opened.session = record.session
  end
  openings[key] = opened
  return string.format("%s:%d", key, opened.times)
end

-- Of two connections with one number the later goes by the next that is free.
function settle_connection(pinfo, record)
  if not pinfo.visited then
    local key = connection_key(record)
    numbers[key] = numbers[key] or allot(record.connection)
    shown[pinfo.number] = numbers[key]
  end
  record.connection = shown[pinfo.number]
end

-- The device of an earlier session of the connection is still there in the next.
local function new_session(earlier)
  local session = { context = { weight = 0 }, waiting = {} }
  local said, guess = DEVICES[vhost_user.prefs.device], earlier and earlier.context
  if said then
    session.context = adopt(session.context, said, "named in the preferences", WEIGHTS.said)
  elseif guess then
    session.context = adopt(session.context, guess.device, guess.reason, guess.weight)
  end
  return session
end

-- One session at a time on a connection.
local function session_of(record)
  local known = sessions[record.connection]
  if not known or known.number ~= record.session then
    known = new_session(known)
    known.number = record.session
    sessions[record.connection] = known
  end
  return known
end

local function learn(context, message)
  if message.channel ~= "main" then return context end
  local fact, value = nil, nil
  local row = LEARNT[message.name .. (message.reply and " reply" or " request")]
  if row then fact, value = row[1], message.values[row[2]] end
  if row and type(row[2]) == "number" then value = row[2] end
  if not fact or value == nil or same(context[fact], value) then return context end
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
  return math.floor((pinfo.rel_ts - earlier) * 1e9 + 0.5)
end

-- Pair a reply with the oldest request of its number.
local function answer(session, message, pinfo, seen)
  local waiting, left, found = session.waiting[message.channel] or {}, {}, nil
  local passed = {}
  for _, request in ipairs(waiting) do
    if found then
      left[#left + 1] = request
    elseif request.number == message.request then
      found = request
    elseif request.owed == "yes" then
      left[#left + 1] = request
      passed[#passed + 1] = request
    end
  end
  if not found then
    seen.problems[1] = { "sequence", "a reply that no request waits for" }
    return
  end
  for _, request in ipairs(passed) do
    if not request.overtaken then
      local text = string.format("overtakes the reply that %s [%d] waits for", request.name, request.packet)
      seen.problems[#seen.problems + 1] = { "sequence", text }
    end
    request.overtaken = true
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

local function ring_name(context, ring)
  local device = context.device
  if not device then return string.format("q%d", ring) end
  local queues = context.queue_num and tonumber(decimal(context.queue_num)) or 0
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
  local number = math.floor((ring - rule.shift) / #rule.words)
  return (rule.words[turn + 1]:gsub("%%d", string.format("%d", number)))
end

-- The replies that can come no more: of a closed channel, or of all when the main one closed.
local function unanswered(session, seen, closed)
  for channel, waiting in pairs(session.waiting) do
    if closed == "main" or channel == closed then session.waiting[channel] = nil else waiting = {} end
    for _, request in ipairs(waiting) do
      if request.owed == "yes" then
        local text = string.format("%s [%d] was never answered", request.name, request.packet)
        seen.problems[#seen.problems + 1] = { "sequence", text }
      end
    end
  end
end

function see_event(pinfo, record)
  local session, seen = session_of(record), { problems = {} }
  session.context = guess_from_event(session.context, record)
  seen.context = session.context
  if record.event == "close" then unanswered(session, seen, record.channel) end
  packets[pinfo.number] = seen
end

function see_message(pinfo, record, message)
  local session, seen = session_of(record), { problems = {} }
  packets[pinfo.number] = seen
  session.context = guess_from_message(session.context, message)
  seen.context = session.context
  if message.lawful then
    if message.reply then
      answer(session, message, pinfo, seen)
    else
      ask(session, message, record, pinfo)
    end
  end
  session.context = learn(session.context, message)
  seen.ring = message.ring or seen.ring
  if seen.ring then seen.ring_name = ring_name(session.context, seen.ring) end
end
