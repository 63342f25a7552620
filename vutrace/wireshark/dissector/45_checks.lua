-- What can be wrong with one message by itself: the tables of vutrace/protocol, checked as dissection/checks.py.

function complain(message, kind, ...)
  if message.problems == NONE then message.problems = {} end
  message.problems[#message.problems + 1] = { kind, format(...) }
end

local function check_header(message, wire)
  local flags = message.flags
  if not wire.marked then
    if message.reply and not wire.replies[flags] then
      complain(message, "header", "flags 0x%x: only REPLY is known on the %s", flags, wire.words)
    end
    return
  end
  local version = masked(flags, wire.version_mask)
  if version ~= wire.version then
    complain(message, "header", "version %d in flags 0x%x, expected %d", version, flags, wire.version)
  end
  if masked(flags, wire.known) ~= flags then complain(message, "header", "unknown bits in flags 0x%x", flags) end
end

function check_record(message, flags)
  for bit = 0, flags > 0 and 3 or -1 do
    local text = FRAME_PROBLEMS[floor(2 ^ bit)]
    if has_bit(flags, bit) and text then complain(message, "record", "%s", text) end
  end
end

local function expected_fds(rule, values)
  if rule.per_region then
    local count = values.nregions or (values.region and 1 or 0)
    return count, count
  end
  local range = rule.otherwise
  for _, name in ipairs(rule.fields or NONE) do
    if has_any(values[name], rule.mask) then range = rule.where end
  end
  return range[1], range[2]
end

local function check_fds(message, rule, count)
  local least, most = expected_fds(rule, message.values)
  if count >= least and count <= most then return end
  local expected = format("%d", most)
  if most == 0 then expected = "no descriptor" elseif least ~= most then expected = least .. " to " .. most end
  complain(message, "fds", "%d descriptor%s attached, expected %s", count, count == 1 and "" or "s", expected)
end

function check(message, record, payload)
  check_record(message, record.flags)
  check_header(message, WIRES[message.channel])
  local role, due = "request", "replies"
  if message.reply then role, due = "reply", "requests" end
  message.lawful = SENDERS[message.channel][role] == record.sender
  if not message.lawful then
    local party = PARTIES[record.sender]
    complain(message, "sequence", "a %s from the %s, which sends only %s on this channel", role, party, due)
  end
  if not message.known then return complain(message, "unknown", "unknown request %d", message.request) end
  local follow = message.stop - message.at
  if message.size ~= follow and record.flags == 0 then
    complain(message, "size", "the header announces %d bytes, %d follow", message.size, follow)
  end
  if not message.fits and record.flags == 0 then
    local unit = message.size == 1 and "byte" or "bytes"
    local whole = payload.sizes == "0" and "none" or format("%s (%s)", payload.sizes, message.layer.title)
    complain(message, "size", "payload of %d %s, expected %s", message.size, unit, whole)
  end
  check_fds(message, message.spec[message.reply and "reply_fds" or "fds"], record.nfds)
end
