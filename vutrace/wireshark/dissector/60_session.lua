-- What a session knows: who answers whom, what was negotiated, which device it is, how its rings stand. Built
-- once, on the first pass over the packets; what it said of each packet is kept for every later look at it.

packets = {}
local sessions, taken, places = {}, {}, {}
local interface_id = Field.new("frame.interface_id")

function vhost_user.init()
  sessions, packets, taken, places = {}, {}, {}, {}
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

-- One session at a time on a connection; the device of the one before is still there.
local function session_of(connection, record)
  local before = sessions[connection]
  if before and before.number == record.session then return before end
  local context, waiting, said = { weight = 0, ring_names = {} }, {}, DEVICES[vhost_user.prefs.device]
  context = adopt(context, said, said and "named in the preferences", WEIGHTS.said)
  if before then context = adopt(context, before.context.device, before.context.reason, before.context.weight) end
  for _, channel in pairs(CODES.channels) do waiting[channel] = {} end
  sessions[connection] = { number = record.session, context = context, waiting = waiting, rings = {}, rings_kept = 0 }
  return sessions[connection]
end

local function know(context, fact, value)
  if context[fact] == value then return context end
  local new = copy(context)
  new[fact] = value
  if fact == "features" then new.packed = value ~= nil and test_bit(value, RING_PACKED) end
  return new
end

local function learn(context, message)
  local told = message.spec[message.reply and "reply_learns" or "learns"]
  local value = told and told.value
  if told and told.field then value = message.values[told.field] end
  return value == nil and context or know(context, told.fact, value)
end

-- Whether a request is answered: "yes", "maybe" or nil.
local function owed(message, record, context)
  local rule, protocol = message.spec.rule, context.protocol_features or 0
  if rule == "NEVER" then return nil end
  if rule == "ALWAYS" or rule == "LOG" and test_bit(protocol, PROTOCOL_BITS.log_shmfd) then return "yes" end
  if rule == "ACK_OR_POSTCOPY" and context.postcopy == 1 and not message.need_reply then
    return record.nfds > 0 and "yes" or nil
  end
  if not message.need_reply then return nil end
  return test_bit(protocol, PROTOCOL_BITS.reply_ack) and "yes" or "maybe"
end

-- Pair a reply with the oldest request of its number.
local function answer(session, message, pinfo, seen)
  local waiting, left, place = session.waiting[message.channel], {}, 1
  while waiting[place] and waiting[place].message.request ~= message.request do place = place + 1 end
  local found = waiting[place]
  local lost = session.lost and (session.lost[message.channel] ~= false)
  if not found and not lost then complain(seen, PROBLEMS.NOBODY_WAITS) end
  if not found then return nil end
  if lost and found.owed == "yes" then session.lost[message.channel] = false end
  for i, request in ipairs(waiting) do
    local passed = i < place and request.owed == "yes"
    if passed and not request.overtaken then
      complain(seen, PROBLEMS.BEFORE_ANOTHER, request.message.name, request.packet)
      request.overtaken = true
    end
    if passed or i > place then left[#left + 1] = request end
  end
  session.waiting[message.channel] = left
  -- By their times since the first packet: absolute ones are too large for a Lua number.
  seen.response_to, seen.latency = found.packet, floor((pinfo.rel_ts - found.time) * 1e9 + 0.5)
  packets[found.packet].response_in = pinfo.number
  return found
end

local function ask(session, message, due, pinfo, before, changes)
  local waiting = session.waiting[message.channel]
  if #waiting == WAITING_KEPT then table.remove(waiting, 1) end
  waiting[#waiting + 1] = {
    message = message, owed = due, packet = pinfo.number, time = pinfo.rel_ts, context = before, changes = changes,
  }
end

local function name_ring(context, ring)
  local device, queues = device_of(context), context.queue_num or 0
  local control = queues > 0 and ring == queues * (device.pairs and 2 or 1)
  if control and device.control_ring then return device.control_ring end
  local names = device.rings
  while names.bit do names = test_bit(context.features or 0, names.bit) and names.on or names.off end
  local place, turns = ring - names.shift, #names.words
  local number = format("%d", floor(place / turns))
  return names.exact[ring] or (names.words[place % turns + 1]:gsub("%%d", number))
end

local function ring_name(context, ring)
  context.ring_names[ring] = context.ring_names[ring] or name_ring(context, ring)
  return context.ring_names[ring]
end

-- A ring is a value: `before` and `after` stand in a change, and a later message makes another one.
local function change(session, index, state)
  local before, after = session.rings[index], { state = state }
  session.rings[index] = after
  return { index = index, before = before, after = after }
end

local function changes_of_all(session, trigger)
  local changes = {}
  for index, ring in pairs(session.rings) do
    local state = TRANSITIONS[ring.state][trigger]
    if state ~= ring.state then changes[#changes + 1] = { index = index, before = ring, after = { state = state } } end
  end
  table.sort(changes, function(one, other) return one.index < other.index end)
  return changes
end

-- The effect of a row that is about all rings; one that `lasts` is about those to come, too.
local function act_on_all(session, message, effect)
  if effect.lasts then
    local features = message.values.features
    local plain = not (features and test_bit(features, PROTOCOL_BITS.negotiated))
    session.default = plain and effect.trigger or nil
    if not plain then return NONE end
  end
  local changes = changes_of_all(session, effect.trigger)
  for _, each in ipairs(changes) do session.rings[each.index] = each.after end
  return changes
end

-- What a message does to rings: its row's effect, by the table of transitions.
local function act(session, message)
  local effect, index = message.spec.effect, message.ring
  if not effect or message.reply and not effect.answered then return NONE end
  if effect.all then return act_on_all(session, message, effect) end
  local before, trigger = session.rings[index], effect.trigger
  local state = before and before.state or session.default and TRANSITIONS[STOPPED][session.default] or STOPPED
  if message.reply then return before and { change(session, index, state) } or NONE end
  if not index or not before and session.rings_kept == RINGS_KEPT then return NONE end
  if not before then session.rings_kept = session.rings_kept + 1 end
  if effect.off and is_zero(message.values.num) then trigger = effect.off end
  return { change(session, index, trigger and TRANSITIONS[state][trigger] or state) }
end

-- A request was refused: what it did is undone, as far as nothing later has changed it.
local function refuse(session, request)
  local told, changes = request.message.spec.learns, {}
  if told then session.context = know(session.context, told.fact, request.context[told.fact]) end
  for _, each in ipairs(request.changes) do
    if session.rings[each.index] == each.after then
      changes[#changes + 1] = change(session, each.index, each.before and each.before.state or STOPPED)
    end
  end
  return changes
end

-- Messages are missing: what waits may have been answered among them.
local function lose_some(session)
  session.lost = {}
  for _, waiting in pairs(session.waiting) do
    for _, request in ipairs(waiting) do request.owed = "maybe" end
  end
end

-- The replies that can come no more: of a closed channel, or of all when the main one closed.
local function unanswered(session, seen, closed)
  for channel, waiting in pairs(session.waiting) do
    local over = closed == "main" or channel == closed
    if over then session.waiting[channel] = {} end
    for _, request in ipairs(over and waiting or NONE) do
      if request.owed == "yes" then complain(seen, PROBLEMS.NEVER_ANSWERED, request.message.name, request.packet) end
    end
  end
end

local function see_message(seen, session, record, message, pinfo)
  local before = guess_from_message(session.context, message)
  local request = message.lawful and message.reply and answer(session, message, pinfo, seen) or nil
  session.context = learn(before, message)
  seen.context, seen.own, seen.ring = before, message.problems, message.ring or request and request.message.ring
  if seen.ring then seen.ring_name = ring_name(session.context, seen.ring) end
  local refused = request and message.layer == LAYERS[ACK] and not is_zero(message.values.status)
  seen.changes = refused and refuse(session, request) or act(session, message)
  local due = message.lawful and not message.reply and owed(message, record, before)
  if due then ask(session, message, due, pinfo, before, seen.changes) end
end

-- What is known of a record, at its first sight; `own` are the problems of a message by itself.
function see(pinfo, record, message)
  local seen = { problems = NONE, own = NONE, changes = NONE, connection = connection_of(record) }
  local session = session_of(seen.connection, record)
  if message then
    see_message(seen, session, record, message, pinfo)
  elseif record.kind == EVENT then
    session.context = guess_from_event(session.context, record)
    seen.context = session.context
    if record.event == "gap" then lose_some(session) end
    if record.event == "close" then unanswered(session, seen, record.channel) end
    if record.event == "close" and record.channel == "main" then seen.changes = changes_of_all(session, ENDED) end
  end
  for _, each in ipairs(seen.changes) do each.name = ring_name(session.context, each.index) end
  return seen
end
