-- What can be wrong with one message by itself: see vutrace/dissection/checks.py.

local function regions(values)
  return values.nregions or (values.region and 1 or 0)
end

local function one_if(condition)
  local count = condition and 1 or 0
  return count, count
end

-- The fewest and the most descriptors that a message may carry.
local FDS_EXPECTED = {
  NONE = function() return 0, 0 end,
  ONE = function() return 1, 1 end,
  AT_MOST_ONE = function() return 0, 1 end,
  PER_REGION = function(values) return regions(values), regions(values) end,
  UNLESS_NOFD = function(values) return one_if(not values.u64 or not test_bit(values.u64, 8)) end,
  IF_MAPPED = function(values) return one_if(not is_zero(values.mmap_size)) end,
  IF_OK = function(values) return one_if(is_zero(values.status)) end,
  IF_SHOWN = function(values) return one_if(not is_zero(values.width) or not is_zero(values.height)) end,
}

function complain(message, kind, ...)
  if message.problems == NONE then message.problems = {} end
  message.problems[#message.problems + 1] = { kind, format(...) }
end

local function check_header(message)
  local flags = message.flags
  if message.channel == "gpu" then
    if message.reply and flags ~= 4 then
      complain(message, "header", "flags 0x%x: only REPLY is known on the GPU channel", flags)
    end
    return
  end
  if flags % 4 ~= 1 then complain(message, "header", "version %d in flags 0x%x, expected 1", flags % 4, flags) end
  if flags >= 16 then complain(message, "header", "unknown bits in flags 0x%x", flags) end
end

function check_record(message, flags)
  if flags == 0 then return end
  for bit = 0, 3 do
    local text = FRAME_PROBLEMS[floor(2 ^ bit)]
    if has_bit(flags, bit) and text then complain(message, "record", "%s", text) end
  end
end

local function check_fds(message, rule, count)
  local least, most = FDS_EXPECTED[rule](message.values)
  if count >= least and count <= most then return end
  local expected = format("%d", most)
  if most == 0 then expected = "no descriptor" elseif least ~= most then expected = least .. " to " .. most end
  complain(message, "fds", "%d descriptor%s attached, expected %s", count, count == 1 and "" or "s", expected)
end

local function check_sender(message, sender)
  local role, due = "request", "replies"
  if message.reply then role, due = "reply", "requests" end
  message.lawful = SENDERS[message.channel][role] == sender
  if message.lawful then return end
  complain(message, "sequence", "a %s from the %s, which sends only %s on this channel", role, PARTIES[sender], due)
end

function check(message, record, payload)
  check_record(message, record.flags)
  check_header(message)
  check_sender(message, record.sender)
  if not message.known then
    complain(message, "unknown", "unknown request %d", message.request)
    return
  end
  local follow = message.stop - message.at
  if message.size ~= follow and record.flags == 0 then
    complain(message, "size", "the header announces %d bytes, %d follow", message.size, follow)
  end
  if not message.fits and record.flags == 0 then
    complain(message, "size", "payload of %d bytes, %s has %s", message.size, message.layer.title, payload.sizes)
  end
  local rule = message.reply and message.spec.reply_fds or message.spec.fds
  check_fds(message, rule, record.nfds)
end
