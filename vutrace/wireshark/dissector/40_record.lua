-- The pseudo-header before every message: docs/capture-format.md.

local FIXED, FD_FIXED = 36, 56
MESSAGE, EVENT = 1, 2
local SEAL_NAMES = bit_table(SEALS)
local TLV_FD, TLV_TEXT, TLV_ATTRIBUTE, TLV_FD_NAME = 1, 2, 3, 1

-- Calls `visit(type, start, length)` for every whole type-length-value; answers whether all were whole.
local function walk_tlvs(tvb, at, stop, visit)
  while at < stop do
    if stop - at < 8 then return false end
    local kind, length = tvb(at, 4):le_uint(), tvb(at + 4, 4):le_uint()
    at = at + 8
    if length > stop - at then return false end
    visit(kind, at, length)
    at = at + length + (-length) % 4
  end
  return true
end

local function string_at(tvb, at, length)
  return length > 0 and tvb(at, length):string(ENC_UTF_8) or ""
end

local function read_fd(tvb, at, length)
  if length < FD_FIXED then return nil end
  local present = tvb(at + 2, 2):le_uint()
  local fd = { at = at, length = length, present = present, name = "" }
  fd.kind = CODES.kinds[tvb(at, 1):uint()] or "other"
  fd.access = CODES.accesses[tvb(at + 1, 1):uint()] or ""
  fd.inode = tvb(at + 16, 8):le_uint64()
  fd.size = has_bit(present, 1) and tvb(at + 24, 8):le_uint64() or nil
  fd.eventfd_id = has_bit(present, 2) and tvb(at + 32, 8):le_int64() or nil
  walk_tlvs(tvb, at + FD_FIXED, at + length, function(kind, first, bytes)
    if kind == TLV_FD_NAME then fd.name, fd.name_at, fd.name_length = string_at(tvb, first, bytes), first, bytes end
  end)
  return fd
end

local function read_tlvs(record, tvb)
  return walk_tlvs(tvb, FIXED, record.body, function(kind, at, length)
    if kind == TLV_FD then
      record.fds[#record.fds + 1] = read_fd(tvb, at, length)
    elseif kind == TLV_TEXT then
      record.text, record.text_at, record.text_length = string_at(tvb, at, length), at, length
    elseif kind == TLV_ATTRIBUTE and length >= 2 then
      local key = tvb(at, 2):le_uint()
      if key + 2 > length then return end
      local name, value = string_at(tvb, at + 2, key), string_at(tvb, at + 2 + key, length - 2 - key)
      record.attributes[#record.attributes + 1] = { name = name, value = value, at = at, length = length }
    end
  end)
end

-- What stands before a message; nil and a reason when it is none of ours.
function read_record(tvb)
  if tvb:len() < FIXED then return nil, "the pseudo-header is cut short" end
  if tvb(0, 4):string() ~= "VUTR" then return nil, "no vutrace pseudo-header" end
  if tvb(4, 1):uint() ~= 1 then return nil, "a pseudo-header of a later version" end
  local record = { fds = {}, attributes = {}, text = "", body = tvb(8, 4):le_uint() }
  if record.body < FIXED or record.body > tvb:len() then return nil, "a pseudo-header of a wrong length" end
  record.kind = tvb(5, 1):uint()
  record.channel = CODES.channels[tvb(6, 1):uint()]
  record.sender = CODES.sides[tvb(7, 1):uint()]
  record.connection = tvb(12, 4):le_uint()
  record.session = tvb(16, 4):le_uint()
  record.nfds = tvb(20, 2):le_uint()
  record.big_endian = tvb(22, 1):uint() == 1
  record.event = CODES.events[tvb(23, 1):uint()] or "note"
  record.wire_size = tvb(24, 8):le_uint64():tonumber()
  record.flags = tvb(32, 4):le_uint()
  if not record.channel then return nil, "an unknown channel" end
  if record.kind == MESSAGE and not record.sender then return nil, "an unknown sender" end
  if not read_tlvs(record, tvb) then return nil, "a damaged pseudo-header" end
  return record
end

-- The letters of a connection: 0 is A, 25 is Z, 26 is AA.
function connection_letter(number)
  local letters = ""
  number = number + 1
  while number > 0 do
    letters = string.char(65 + (number - 1) % 26) .. letters
    number = math.floor((number - 1) / 26)
  end
  return letters
end

-- What tells one descriptor from another: eventfd#11, memfd 256 MiB, socket:4711.
local function fd_identity(fd)
  if fd.kind == "eventfd" then return fd.eventfd_id and ("eventfd#" .. tostring(fd.eventfd_id)) or "eventfd" end
  if fd.size then return fd.kind .. " " .. size_text(fd.size) end
  return is_zero(fd.inode) and fd.kind or (fd.kind .. ":" .. tostring(fd.inode))
end

-- All descriptors of a message; equal ones are counted.
function fds_text(fds)
  local words, last, count = {}, nil, 0
  local function close()
    if last then words[#words + 1] = count == 1 and last or string.format("%d × %s", count, last) end
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
  return table.concat(words, ", ")
end

local function add_fd(tree, tvb, fd)
  local at, item = fd.at, tree:add(F.fd, tvb(fd.at, fd.length), fd_identity(fd))
  item:add(F.fd_kind, tvb(at, 1), fd.kind)
  if fd.access ~= "" then item:add(F.fd_access, tvb(at + 1, 1), fd.access) end
  item:add_le(F.fd_device, tvb(at + 8, 8))
  item:add_le(F.fd_inode, tvb(at + 16, 8))
  local rows = {
    { 0, F.fd_seals, 4, 4 }, { 1, F.fd_size, 24, 8 }, { 2, F.fd_eventfd_id, 32, 8 },
    { 3, F.fd_eventfd_count, 40, 8 }, { 4, F.fd_frontend_fd, 48, 4 }, { 5, F.fd_backend_fd, 52, 4 },
  }
  for _, row in ipairs(rows) do
    if has_bit(fd.present, row[1]) then
      local added = item:add_le(row[2], tvb(at + row[3], row[4]))
      if row[2] == F.fd_seals then
        added:append_text(string.format(" (%s)", joined(bit_names(tvb(at + 4, 4):le_uint(), SEAL_NAMES))))
      end
    end
  end
  if fd.name ~= "" then item:add(F.fd_name, tvb(fd.name_at, fd.name_length), fd.name) end
end

function add_fds(tree, tvb, record)
  if record.nfds == 0 then return end
  local first, last = record.fds[1], record.fds[#record.fds]
  local range = first and tvb(first.at, last.at + last.length - first.at) or tvb(20, 2)
  local item = tree:add(F.fds, range, record.nfds)
  item:append_text(": " .. fds_text(record.fds))
  for _, fd in ipairs(record.fds) do add_fd(item, tvb, fd) end
end

local RECORD_FLAGS = { F.cut, F.partial, F.fds_lost, F.raw }

function add_record(tree, tvb, record)
  local letter = connection_letter(record.connection)
  local item = tree:add(F.record, tvb(0, record.body))
  item:append_text(string.format(": connection %s, session %d, %s channel", letter, record.session, record.channel))
  item:add(F.connection, tvb(12, 4), letter)
  item:add_le(F.session, tvb(16, 4))
  item:add(F.channel, tvb(6, 1), record.channel)
  if record.sender then item:add(F.sender, tvb(7, 1), record.sender) end
  if record.kind ~= MESSAGE then return end
  item:add(F.big_endian, tvb(22, 1), record.big_endian)
  item:add_le(F.wire_size, tvb(24, 8))
  local flags = item:add_le(F.record_flags, tvb(32, 4))
  for _, field in ipairs(RECORD_FLAGS) do flags:add_le(field, tvb(32, 4)) end
end
