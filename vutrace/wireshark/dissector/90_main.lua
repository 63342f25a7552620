-- One packet: a message or an event.

local PEERS = { frontend = "backend", backend = "frontend" }

local function put_addresses(pinfo, record)
  local letter = connection_letter(record.connection)
  if not record.sender then return end
  pinfo.cols.src = letter .. " " .. PARTIES[record.sender]
  pinfo.cols.dst = letter .. " " .. PARTIES[PEERS[record.sender]]
end

-- What is wrong, where nobody overlooks it.
local function problems_text(...)
  local words = {}
  for _, problems in ipairs({ ... }) do
    for _, problem in ipairs(problems) do words[#words + 1] = problem[2] end
  end
  return #words > 0 and "  ! " .. table.concat(words, "; ") or ""
end

-- NAME, ring, reply or need-reply, what matters, request and latency, descriptors, problems: the columns of
-- `vutrace show`.
local function info_text(message, record, seen, detail)
  local words = { message.name }
  if seen.ring then words[#words + 1] = seen.ring_name end
  if message.reply then words[#words + 1] = "reply" elseif message.need_reply then words[#words + 1] = "need-reply" end
  if detail ~= "" then words[#words + 1] = detail end
  if seen.response_to then
    words[#words + 1] = string.format("[%d, %+.3f ms]", seen.response_to, seen.latency / 1e6)
  end
  if record.nfds > 0 then words[#words + 1] = "{" .. fds_text(record.fds) .. "}" end
  return table.concat(words, "  ") .. problems_text(message.problems, seen.problems)
end

local function show_event(tvb, pinfo, tree, record)
  if not pinfo.visited then see_event(pinfo, record) end
  local seen = packets[pinfo.number]
  local item = tree:add(F.event, tvb(23, 1), record.event)
  if record.text_length and record.text_length > 0 then
    item:add(F.event_text, tvb(record.text_at, record.text_length), record.text)
  end
  for _, each in ipairs(record.attributes) do
    item:add(F.attribute, tvb(each.at, each.length), each.name .. ": " .. each.value)
  end
  add_problems(tree, seen.problems)
  tree:append_text(", " .. record.event)
  pinfo.cols.info = string.format("= %s: %s%s", record.event, record.text, problems_text(seen.problems))
end

local function scene_of(message, record, context)
  local asks = message.name == "GET_CONFIG" and not message.reply
  return setmetatable({ little = not record.big_endian, asks = asks }, { __index = context })
end

local function show_message(tvb, pinfo, tree, record)
  local message = read_message(record, tvb)
  if not pinfo.visited then see_message(pinfo, record, message) end
  local seen = packets[pinfo.number]
  local context = scene_of(message, record, seen.context)
  local detail = detail_of(message, tvb, context)
  add_header(tree, tvb, message, record)
  add_payload(tree, tvb, message, context, context.little)
  add_fds(tree, tvb, record)
  add_meaning(tree, message, seen, detail)
  add_problems(tree, message.problems, seen.problems)
  tree:append_text(string.format(", %s, %s to %s", message.name, PARTIES[record.sender], PARTIES[PEERS[record.sender]]))
  pinfo.cols.info = info_text(message, record, seen, detail)
end

function vhost_user.dissector(buffer, pinfo, root)
  local tvb = buffer()
  pinfo.cols.protocol = "vhost-user"
  local tree = root:add(vhost_user, tvb)
  local record, reason = read_record(tvb)
  if not record then
    tree:add_proto_expert_info(EXPERTS.malformed, reason)
    pinfo.cols.info = reason
    return
  end
  settle_connection(pinfo, record)
  put_addresses(pinfo, record)
  add_record(tree, tvb, record)
  if record.kind == MESSAGE then
    show_message(tvb, pinfo, tree, record)
  elseif record.kind == EVENT then
    show_event(tvb, pinfo, tree, record)
  end
end

-- Where `vutrace export` looks for us (vutrace/wireshark/export.py); captures say our name.
DissectorTable.get(EXPORTED.table):add(EXPORTED.place, vhost_user)
