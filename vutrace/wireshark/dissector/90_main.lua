-- One packet: a message or an event.

local PEERS = { frontend = "backend", backend = "frontend" }
local ENDS = { frontend = ", front-end to back-end", backend = ", back-end to front-end" }
local handle

-- What is wrong, where nobody overlooks it: what was found, or else what the plug-in sees by itself.
local function problems_text(record, seen)
  local words = {}
  for _, problems in ipairs(record.findings and NONE or { seen.own, seen.problems }) do
    for _, problem in ipairs(problems) do words[#words + 1] = problem.text end
  end
  for _, each in ipairs(record.findings or NONE) do
    if each.severity ~= "info" then words[#words + 1] = each.text end
  end
  return #words > 0 and "  ! " .. concat(words, "; ") or ""
end

-- NAME, ring, reply or need-reply, what matters, request and latency, descriptors, problems: the columns of
-- `vutrace show`.
local function info_text(message, record, seen, detail)
  local text = message.name
  if seen.ring then text = text .. "  " .. seen.ring_name end
  if message.reply then text = text .. "  reply" elseif message.need_reply then text = text .. "  need-reply" end
  if detail ~= "" then text = text .. "  " .. detail end
  if seen.response_to then text = text .. format("  [%d, %+.3f ms]", seen.response_to, seen.latency / 1e6) end
  if record.nfds > 0 then text = text .. "  {" .. fds_text(record.fds) .. "}" end
  if record.acted then text = text .. format("  (%s by '%s')", record.acted.deed, record.acted.rule) end
  return text .. problems_text(record, seen)
end

local function set_columns(pinfo, record, letter, info)
  local columns = pinfo.cols
  columns.protocol = "vhost-user"
  if info then columns.info = info end
  if not record.sender then return end
  columns.src = letter .. " " .. PARTIES[record.sender]
  columns.dst = letter .. " " .. PARTIES[PEERS[record.sender]]
end

local CHANNELS = { main = "main channel", backend = "back-end channel", gpu = "GPU channel" }

local function event_text(record, seen)
  local where = record.event == "close" and CHANNELS[record.channel] .. ": " or ""
  return format("= %s: %s%s", record.event, where, record.text) .. problems_text(record, seen)
end

local function add_event(tree, tvb, record)
  local item = add(tree, F.event, tvb(23, 1), record.event)
  if record.text_length and record.text_length > 0 then
    add(item, F.event_text, tvb(record.text_at, record.text_length), record.text)
  end
  for _, each in ipairs(record.attributes) do
    add(item, F.attribute, tvb(each.at, each.length), each.name .. ": " .. each.value)
  end
  append_text(tree, ", " .. record.event)
end

local RINGS_TOLD = 4

-- A few words of each ring.
local function sample_text(record)
  local words = {}
  for i, ring in ipairs(record.rings) do
    if i > RINGS_TOLD then
      words[#words + 1] = format("and %d more", #record.rings - RINGS_TOLD)
      break
    end
    local state = ring.known and format("%d of %d in flight", ring.in_flight, ring.size) or "not readable"
    words[#words + 1] = format("ring %d: %s", ring.index, state)
  end
  return "= sample: " .. concat(words, "; ")
end

-- (field, offset, length) of what every sample of a ring has.
local SAMPLED = {
  { F.sample_flags, 2, 4 }, { F.sample_size, 6, 2 }, { F.sample_available, 8, 2 }, { F.sample_used, 10, 2 },
  { F.sample_in_flight, 12, 4 }, { F.sample_age, 28, 4 }, { F.sample_available_total, 40, 8 },
  { F.sample_used_total, 48, 8 }, { F.sample_kicks, 56, 8 }, { F.sample_calls, 64, 8 },
}

local function add_sample(tree, tvb, record)
  local item = add(tree, F.sample, tvb(0, 0), #record.rings)
  for _, ring in ipairs(record.rings) do
    local one = item:add_le(F.sample_ring, tvb(ring.at, 2))
    for _, each in ipairs(SAMPLED) do one:add_le(each[1], tvb(ring.at + each[2], each[3])) end
    if ring.counted then
      one:add_le(F.sample_kick_total, tvb(ring.at + 72, 8))
      one:add_le(F.sample_call_total, tvb(ring.at + 80, 8))
    end
  end
  append_text(tree, ", sample")
end

local HEADER = { F.message, F.request, F.flags, F.version, F.reply, F.need_reply, F.size }
local ACTED = { F.deed, F.rule, F.came }

-- What the receiver got is the packet; what its sender said is here.
local function add_acted(tree, tvb, acted)
  local item = add(tree, F.deed, tvb(acted.at, 4), acted.deed)
  if acted.rule_at then add(item, F.rule, tvb(acted.rule_at, acted.rule_length), acted.rule) end
  if acted.came then add(item, F.came, tvb(acted.came, acted.size)) end
end

local function add_message(tree, packet, record, seen, detail)
  local protos = packet.message.layer.protos
  if wants(tree, HEADER) then add_header(tree, packet) end
  if not protos or wants(tree, protos) then add_payload(tree, packet, seen.context) end
  if record.nfds > 0 and wants(tree, FD_FIELDS) then add_fds(tree, packet.tvb, packet.raw, record) end
  if record.acted and wants(tree, ACTED) then add_acted(tree, packet.tvb, record.acted) end
  add_meaning(tree, seen, detail)
  append_text(tree, ", " .. packet.message.name .. ENDS[record.sender])
end

-- What is said of a packet at its first sight is kept; a message is read again only where its tree is wanted.
local function show(tree, packet, pinfo, record)
  local seen, wanted, message, detail = packets[pinfo.number], referenced(tree, handle), nil, nil
  if record.kind == MESSAGE and (wanted or not seen) then
    message = read_message(record, packet.raw)
    packet.message = message
  end
  if not seen then
    seen = see(pinfo, record, message)
    packets[pinfo.number] = seen
  end
  if message then detail = detail_of(message, packet.raw, seen.context) end
  if not seen.info and record.kind == EVENT then seen.info = printable(event_text(record, seen)) end
  if not seen.info and message then seen.info = printable(info_text(message, record, seen, detail)) end
  if not seen.info and record.kind == SAMPLE then seen.info = sample_text(record) .. problems_text(record, seen) end
  local letter = connection_letter(seen.connection)
  set_columns(pinfo, record, letter, seen.info)
  VISIBLE = wanted and tree.visible
  if wanted then
    add_record(tree, packet.tvb, record, letter)
    if message then add_message(tree, packet, record, seen, detail) end
    if record.kind == SAMPLE then add_sample(tree, packet.tvb, record) end
    if record.kind == EVENT then
      add_event(tree, packet.tvb, record)
      add_changes(tree, seen.changes)
    end
  end
  add_problems(tree, seen.own, record.findings)
  add_problems(tree, seen.problems, record.findings)
  if record.findings then add_findings(tree, packet.tvb, record.findings) end
end

function vhost_user.dissector(buffer, pinfo, root)
  handle = handle or Dissector.get(NAME)
  local tvb = buffer()
  local raw = tvb:raw()
  PACKET = tvb
  local tree = add(root, vhost_user, tvb)
  local record, reason = read_record(tvb, raw)
  if record then return show(tree, { tvb = tvb, raw = raw }, pinfo, record) end
  tree:add_proto_expert_info(EXPERTS.malformed, reason)
  pinfo.cols.protocol = "vhost-user"
  pinfo.cols.info = reason
end

-- Where `vutrace export` looks for us (vutrace/wireshark/export.py); captures say our name.
DissectorTable.get(EXPORTED.table):add(EXPORTED.place, vhost_user)
