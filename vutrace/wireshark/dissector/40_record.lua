-- The pseudo-header before every message: docs/capture-format.md.

local FIXED, FD_FIXED = 36, 56
MESSAGE, EVENT, SAMPLE = 1, 2, 4
local TLV_FD, TLV_TEXT, TLV_ATTRIBUTE, TLV_ACTED, TLV_FINDINGS, TLV_FD_NAME = 1, 2, 3, 4, 8, 1
local TLV_RING, RING_FIXED, RING_PACKED, RING_INDEXES, RING_COUNTED = 16, 72, 0, 1, 13
local ACTED_FIXED, TLV_RULE, TLV_CAME = 16, 1, 2
local DEEDS = { "held", "changed", "made" }

local unpack, u32, u64, i64 = Struct.unpack, NUMBERS.I, NUMBERS.Q, NUMBERS.q

-- Calls `visit(type, start, length)` for every whole type-length-value; answers whether all were whole.
local function walk_tlvs(raw, at, stop, visit)
  while at < stop do
    if stop - at < 8 then return false end
    local kind, length = u32(raw, at, true), u32(raw, at + 4, true)
    at = at + 8
    if length > stop - at then return false end
    visit(kind, at, length)
    at = at + length + (-length) % 4
  end
  return true
end

-- Text is read by Wireshark where it is more than ASCII: it must be UTF-8.
function string_at(tvb, raw, at, length)
  local text = raw:sub(at + 1, at + length)
  return text:find("[\128-\255]") and tvb(at, length):string(ENC_UTF_8) or text
end

local function read_fd(raw, at, length)
  local kind, access, present = unpack("<BBI2", raw, at + 1)
  local fd = { at = at, length = length, present = present }
  fd.kind = CODES.kinds[kind] or "other"
  fd.access = CODES.accesses[access] or ""
  fd.inode = u64(raw, at + 16, true)
  fd.size = has_bit(present, 1) and u64(raw, at + 24, true) or nil
  fd.eventfd_id = has_bit(present, 2) and i64(raw, at + 32, true) or nil
  return fd
end

-- What vutrace found about the record, if it judged it.
local function read_findings(tvb, raw, at, stop)
  local found = {}
  while stop - at >= 4 do
    local severity, name, text = unpack("<BBI2", raw, at + 1)
    local first, length = at + 4, 4 + name + text
    if length > stop - at then break end
    found[#found + 1] = {
      severity = CODES.severities[severity] or "info", at = at, length = length,
      rule = string_at(tvb, raw, first, name), text = string_at(tvb, raw, first + name, text),
    }
    at = at + length
  end
  return found
end

-- What a rule did to a message: docs/capture-format.md, "What rules did".
local function read_acted(tvb, raw, at, length)
  local acted = { at = at, deed = DEEDS[u32(raw, at, true)] or "changed", rule = "" }
  walk_tlvs(raw, at + ACTED_FIXED, at + length, function(kind, start, size)
    if kind == TLV_RULE then acted.rule, acted.rule_at, acted.rule_length = string_at(tvb, raw, start, size), start, size end
    if kind == TLV_CAME then acted.came, acted.size = start, size end
  end)
  return acted
end

-- A ring as it stood in memory: docs/capture-format.md, "Samples".
local function read_ring(raw, at, length)
  local index, flags, size, available, used, in_flight = unpack("<I2I4I2I2I2I4", raw, at + 1)
  return {
    at = at, index = index, flags = flags, size = size, available = available, used = used, in_flight = in_flight,
    packed = has_bit(flags, RING_PACKED), known = has_bit(flags, RING_INDEXES),
    counted = has_bit(flags, RING_COUNTED) and length > RING_FIXED,
  }
end

local function read_tlvs(record, tvb, raw)
  return walk_tlvs(raw, FIXED, record.body, function(kind, at, length)
    if kind == TLV_FD and length >= FD_FIXED then
      record.fds[#record.fds + 1] = read_fd(raw, at, length)
    elseif kind == TLV_TEXT then
      record.text, record.text_at, record.text_length = string_at(tvb, raw, at, length), at, length
    elseif kind == TLV_ACTED and length >= ACTED_FIXED then
      record.acted = read_acted(tvb, raw, at, length)
    elseif kind == TLV_ATTRIBUTE and length >= 2 then
      local key = unpack("<I2", raw, at + 1)
      if key + 2 > length then return end
      local name, value = string_at(tvb, raw, at + 2, key), string_at(tvb, raw, at + 2 + key, length - 2 - key)
      record.attributes[#record.attributes + 1] = { name = name, value = value, at = at, length = length }
    elseif kind == TLV_RING and length >= RING_FIXED then
      record.rings[#record.rings + 1] = read_ring(raw, at, length)
    elseif kind == TLV_FINDINGS then
      record.findings = read_findings(tvb, raw, at, at + length)
    end
  end)
end

-- The fixed part; those of a session are the same few.
local head_of = remember(function(bytes)
  local magic, version, kind, channel, sender, body, connection, session, nfds, big_endian, event, low, high, flags =
    unpack("<c4BBBBI4I4I4I2BBI4I4I4", bytes)
  if magic ~= "VUTR" then return { reason = "no vutrace pseudo-header" } end
  if version ~= 1 then return { reason = "a pseudo-header of a later version" } end
  if body < FIXED then return { reason = "a pseudo-header of a wrong length" } end
  local head = {
    kind = kind, channel = CODES.channels[channel], sender = CODES.sides[sender], body = body,
    connection = connection, session = session, nfds = nfds, big_endian = big_endian == 1,
    event = CODES.events[event] or "note", wire_size = high * 4294967296 + low, flags = flags,
    attributes = NONE, fds = NONE, rings = NONE, text = "",
  }
  if not head.channel then head.reason = "an unknown channel" end
  if kind == MESSAGE and not head.sender then head.reason = "an unknown sender" end
  head.words = format("session %d, %s channel", session, head.channel or "")
  return head
end)

-- What stands before a message; nil and a reason when it is none of ours.
function read_record(tvb, raw)
  if #raw < FIXED then return nil, "the pseudo-header is cut short" end
  local head = head_of(raw:sub(1, FIXED))
  if head.reason then return nil, head.reason end
  if head.body == FIXED then return head end
  if head.body > #raw then return nil, "a pseudo-header of a wrong length" end
  local record = setmetatable({ fds = {}, attributes = {}, rings = {} }, { __index = head })
  if not read_tlvs(record, tvb, raw) then return nil, "a damaged pseudo-header" end
  return record
end

-- The letters of a connection: 0 is A, 25 is Z, 26 is AA.
connection_letter = remember(function(number)
  local letters = ""
  number = number + 1
  while number > 0 do
    letters = string.char(65 + (number - 1) % 26) .. letters
    number = floor((number - 1) / 26)
  end
  return letters
end)

-- What tells one descriptor from another: eventfd#11, memfd 256 MiB, socket:4711.
local function fd_identity(fd)
  if fd.kind == "eventfd" then return fd.eventfd_id and ("eventfd#" .. decimal(fd.eventfd_id)) or "eventfd" end
  if fd.size then return fd.kind .. " " .. size_text(fd.size) end
  return is_zero(fd.inode) and fd.kind or (fd.kind .. ":" .. decimal(fd.inode))
end

-- All descriptors of a message; equal ones are counted.
function fds_text(fds)
  local words, last, count = {}, nil, 0
  local function close()
    if last then words[#words + 1] = count == 1 and last or format("%d × %s", count, last) end
  end
  for _, fd in ipairs(fds) do
    local text = fd_identity(fd)
    if text ~= last then
      close()
      last, count = text, 0
    end
    count = count + 1
  end
  close()
  return concat(words, ", ")
end

-- What a descriptor may have: the bit that says so, the field, where it is and how long.
local FD_FACTS = {
  { 0, F.fd_seals, 4, 4 }, { 1, F.fd_size, 24, 8 }, { 2, F.fd_eventfd_id, 32, 8 },
  { 3, F.fd_eventfd_count, 40, 8 }, { 4, F.fd_frontend_fd, 48, 4 }, { 5, F.fd_backend_fd, 52, 4 },
}

local function add_fd(tree, tvb, raw, fd)
  local at, item = fd.at, add(tree, F.fd, tvb(fd.at, fd.length), fd_identity(fd))
  add(item, F.fd_kind, tvb(at, 1), fd.kind)
  if fd.access ~= "" then add(item, F.fd_access, tvb(at + 1, 1), fd.access) end
  add_le(item, F.fd_device, tvb(at + 8, 8))
  add_le(item, F.fd_inode, tvb(at + 16, 8))
  for _, row in ipairs(FD_FACTS) do
    if has_bit(fd.present, row[1]) then
      local added = add_le(item, row[2], tvb(at + row[3], row[4]))
      if row[1] == 0 then
        append_text(added, format(" (%s)", joined(bit_names(u32(raw, at + 4, true), SEALS))))
      end
    end
  end
  walk_tlvs(raw, at + FD_FIXED, at + fd.length, function(kind, first, bytes)
    if kind == TLV_FD_NAME and bytes > 0 then
      add(item, F.fd_name, tvb(first, bytes), string_at(tvb, raw, first, bytes))
    end
  end)
end

function add_fds(tree, tvb, raw, record)
  local first, last = record.fds[1], record.fds[#record.fds]
  local range = first and tvb(first.at, last.at + last.length - first.at) or tvb(20, 2)
  local item = add(tree, F.fds, range, record.nfds)
  append_text(item, ": " .. fds_text(record.fds))
  for _, fd in ipairs(record.fds) do add_fd(item, tvb, raw, fd) end
end

local FLAG_FIELDS = { F.cut, F.partial, F.fds_lost, F.raw }
local PLACE = { F.record, F.connection, F.session, F.channel, F.sender }
local MORE = { F.big_endian, F.wire_size, F.record_flags, F.cut, F.partial, F.fds_lost, F.raw }

-- What is out of the ordinary: a big-endian host, or a message that is not recorded as it was on the wire.
local function add_oddities(tree, tvb, record)
  add(tree, F.big_endian, tvb(22, 1), record.big_endian)
  add_le(tree, F.wire_size, tvb(24, 8))
  local range = tvb(32, 4)
  local flags = add_le(tree, F.record_flags, range)
  for _, field in ipairs(FLAG_FIELDS) do add_le(flags, field, range) end
end

function add_record(tree, tvb, record, letter)
  local odd = record.kind == MESSAGE and (record.big_endian or record.flags ~= 0)
  if not wants(tree, PLACE) and not (odd and wants(tree, MORE)) then return end
  local item = add(tree, F.record, tvb(0, record.body))
  append_text(item, ": connection " .. letter .. ", " .. record.words)
  add(item, F.connection, tvb(12, 4), letter)
  add_le(item, F.session, tvb(16, 4))
  add(item, F.channel, tvb(6, 1), record.channel)
  if record.sender then add(item, F.sender, tvb(7, 1), record.sender) end
  if odd then add_oddities(item, tvb, record) end
end
