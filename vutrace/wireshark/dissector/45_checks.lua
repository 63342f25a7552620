-- What can be wrong with one message by itself: the tables of vutrace/protocol, checked as dissection/checks.py.

-- Add to a message's or a packet's problems: `told` is one of PROBLEMS, the rest goes into its text.
function complain(about, told, ...)
  if about.problems == NONE then about.problems = {} end
  local text = format(told.text, ...)
  about.problems[#about.problems + 1] = { rule = told.rule, severity = told.severity, text = text }
end

local function check_header(message, wire)
  local flags = message.flags
  if not wire.marked then
    if message.reply and not wire.replies[flags] then complain(message, PROBLEMS.ONLY_REPLY, flags, wire.words) end
    return
  end
  local version = masked(flags, wire.version_mask)
  if version ~= wire.version then complain(message, PROBLEMS.WRONG_VERSION, version, flags, wire.version) end
  if masked(flags, wire.known) ~= flags then complain(message, PROBLEMS.UNKNOWN_BITS, flags) end
end

function check_record(message, flags)
  for bit = 0, flags > 0 and 3 or -1 do
    if has_bit(flags, bit) then complain(message, FRAME_PROBLEMS[floor(2 ^ bit)]) end
  end
end

local function check_sizes(message, payload)
  local size, follow = message.size, message.stop - message.at
  if size ~= follow then complain(message, PROBLEMS.SIZES_DIFFER, size, follow) end
  if message.fits then return end
  local whole = payload.sizes == "0" and "none" or format("%s (%s)", payload.sizes, message.layer.title)
  complain(message, PROBLEMS.NO_LAYOUT, size, size == 1 and "byte" or "bytes", whole)
end

local function check_fds(message, least, most, count)
  if count >= least and count <= most then return end
  local expected = least == most and decimal(least) or least .. " to " .. most
  if most == 0 then expected = "no descriptor" end
  complain(message, PROBLEMS.ODD_COUNT, count, count == 1 and "" or "s", expected)
end

function check(message, record, payload)
  check_record(message, record.flags)
  check_header(message, WIRES[message.channel])
  local role, due = "request", "replies"
  if message.reply then role, due = "reply", "requests" end
  message.lawful = SENDERS[message.channel][role] == record.sender
  if not message.lawful then complain(message, PROBLEMS.FROM_OTHER_SIDE, role, PARTIES[record.sender], due) end
  if not message.known then return complain(message, PROBLEMS.UNKNOWN_REQUEST, message.request) end
  if record.flags % 16 == 0 and not message.payload_unknown then check_sizes(message, payload) end
  if masked(record.flags, CANNOT_COUNT) > 0 then return end
  local least, most = message.spec[message.reply and "reply_fds" or "fds"](message.values)
  check_fds(message, least, most, record.nfds)
end
