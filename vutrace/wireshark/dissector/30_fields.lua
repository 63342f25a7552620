-- Every field that a filter can name. What the tables describe is found through `field.proto`.

local TYPES = { B = "uint8", H = "uint16", I = "uint32", Q = "uint64", b = "int8", h = "int16", i = "int32", q = "int64" }
local HEXADECIMAL = { hex = true, flags = true, features = true, parts = true }
local fields = {}

local function define(field)
  fields[#fields + 1] = field
  return field
end

local function label(name)
  local words = name:gsub("_", " ")
  return words:sub(1, 1):upper() .. words:sub(2)
end

-- One bit of a word of `width` bits; those of 64-bit words are defined on the half that they are in.
local function bit_field(abbr, name, bit, width)
  local half = width == 64 and 32 or width
  return { proto = define(ProtoField.bool(abbr, name, half, nil, floor(2 ^ (bit % half)))), high = bit >= half }
end

-- Those of the bits that have a word for it.
local function bit_fields(prefix, rows, width)
  local made = {}
  for _, row in ipairs(rows) do
    local bit, name, word = row[1], row[2], row[3]
    if word then made[#made + 1] = bit_field(prefix .. "." .. word, name, bit, width) end
  end
  return made
end

-- A named bit range of a word, with the function that reads it.
local function part_field(prefix, part, code)
  local shift, width = 1, SIZES[code] * 8
  while part.mask % (shift * 2) == 0 do shift = shift * 2 end
  part.of = function(word)
    if is_wide(word) then return narrow(word:band(UInt64.new(part.mask)) / UInt64.new(shift)) end
    return floor(word / shift) % floor(part.mask / shift + 1)
  end
  local high = width == 64 and part.mask >= 2 ^ 32
  local mask, kind = part.mask, width == 64 and "uint32" or TYPES[code]
  if high then mask = floor(mask / 2 ^ 32) end
  local abbr = prefix .. "." .. part.name:lower()
  return { proto = define(ProtoField[kind](abbr, label(part.name), base.DEC, nil, mask)), high = high }
end

local BYTES_TYPES = { mac = "ether", text = "string", uuid = "guid" }
local BYTES_SIZES = { mac = 6, uuid = 16 }

local function number_proto(field)
  local unsigned = field.code == field.code:upper()
  local display = unsigned and HEXADECIMAL[field.kind] and base.HEX or base.DEC
  return ProtoField[TYPES[field.code]](field.filter, label(field.name), display, field.enum)
end

local function bytes_proto(field)
  local kind = BYTES_TYPES[field.kind]
  if BYTES_SIZES[field.kind] and BYTES_SIZES[field.kind] ~= field.width then kind = nil end
  field.plain = not kind
  return ProtoField[kind or "bytes"](field.filter, label(field.name))
end

local function define_field(field)
  if field.type == "nested" or field.type == "listed" then
    field.proto = define(ProtoField.none(field.filter, label(field.name)))
  elseif field.code then
    field.proto = define(number_proto(field))
  else
    field.proto = define(bytes_proto(field))
  end
  if field.bits then
    field.bit_fields = bit_fields(field.filter, field.bits, SIZES[field.code] * 8)
  end
  if field.parts then
    field.part_fields = {}
    for i, part in ipairs(field.parts) do field.part_fields[i] = part_field(field.filter, part, field.code) end
  end
end

for _, layer in pairs(LAYERS) do
  for _, field in ipairs(layer.fields) do define_field(field) end
end

-- Virtio features: the generic bits once, each device's own below the same name.
FEATURE_FIELDS = bit_fields(NAME .. ".features", NO_DEVICE.features, 64)
for _, device in ipairs(DEVICES) do
  device.feature_fields = bit_fields(NAME .. ".features", device.features, 64)
end

local function own(kind, name, title, ...)
  return define(ProtoField[kind](NAME .. "." .. name, title, ...))
end

F = {
  message = own("string", "message", "Message"),
  request = own("uint32", "request", "Request"),
  flags = own("uint32", "flags", "Flags", base.HEX),
  version = own("uint32", "flags.version", "Version", base.DEC, nil, 0x3),
  reply = own("bool", "flags.reply", "Reply", 32, nil, 0x4),
  need_reply = own("bool", "flags.need_reply", "Need reply", 32, nil, 0x8),
  size = own("uint32", "size", "Payload size"),
  payload = own("none", "payload", "Payload"),
  rest = own("bytes", "rest", "Bytes behind the payload"),
  ring = own("uint32", "ring", "Ring"),
  ring_name = own("string", "ring_name", "Ring name"),
  state_before = own("string", "ring.state_before", "Ring state before"),
  state_after = own("string", "ring.state_after", "Ring state after"),
  detail = own("string", "detail", "Detail"),
  device = own("string", "device", "Device"),
  device_reason = own("string", "device.reason", "Recognised by"),
  problem = own("string", "problem", "Problem"),
  finding = own("string", "finding", "Finding"),
  finding_rule = own("string", "finding.rule", "Rule"),
  finding_severity = own("string", "finding.severity", "Severity"),
  finding_text = own("string", "finding.text", "Text"),
  response_in = define(ProtoField.framenum(NAME .. ".response_in", "Response in", base.NONE, frametype.RESPONSE)),
  response_to = define(ProtoField.framenum(NAME .. ".response_to", "Response to", base.NONE, frametype.REQUEST)),
  deed = own("string", "deed", "What a rule of vutrace's did"),
  rule = own("string", "rule", "Rule"),
  came = own("bytes", "came", "As it came"),
  time = own("relative_time", "time", "Time since the request"),
  connection = own("string", "connection", "Connection"),
  session = own("uint32", "session", "Session"),
  channel = own("string", "channel", "Channel"),
  sender = own("string", "sender", "Sender"),
  record = own("none", "record", "Record"),
  wire_size = own("uint64", "record.wire_size", "Bytes on the wire"),
  big_endian = own("bool", "record.big_endian", "Host is big-endian"),
  record_flags = own("uint32", "record.flags", "Flags", base.HEX),
  cut = own("bool", "record.flags.cut", "Recorded only in part", 32, nil, 1),
  partial = own("bool", "record.flags.partial", "Sender closed before the message was whole", 32, nil, 2),
  fds_lost = own("bool", "record.flags.fds_lost", "Descriptors were lost", 32, nil, 4),
  raw = own("bool", "record.flags.raw", "Framing is lost", 32, nil, 8),
  sample = own("uint16", "sample", "Rings in memory"),
  sample_ring = own("uint16", "sample.ring", "Ring"),
  sample_flags = own("uint32", "sample.flags", "Flags", base.HEX),
  sample_size = own("uint16", "sample.size", "Size"),
  sample_available = own("uint16", "sample.available", "Available index"),
  sample_used = own("uint16", "sample.used", "Used index"),
  sample_in_flight = own("uint32", "sample.in_flight", "In flight"),
  sample_age = own("uint32", "sample.age", "Age of the oldest chain (ms)"),
  sample_available_total = own("uint64", "sample.available_total", "Made available since the start", base.DEC),
  sample_used_total = own("uint64", "sample.used_total", "Given back since the start", base.DEC),
  sample_kicks = own("uint64", "sample.kicks", "Kicks that nobody took", base.DEC),
  sample_calls = own("uint64", "sample.calls", "Calls that nobody took", base.DEC),
  sample_kick_total = own("uint64", "sample.kick_total", "Kicks", base.DEC),
  sample_call_total = own("uint64", "sample.call_total", "Calls", base.DEC),
  event = own("string", "event", "Event"),
  event_text = own("string", "event.text", "Text"),
  attribute = own("string", "event.attribute", "Attribute"),
  fds = own("uint16", "fds", "File descriptors"),
  fd = own("string", "fd", "File descriptor"),
  fd_kind = own("string", "fd.kind", "Kind"),
  fd_access = own("string", "fd.access", "Access"),
  fd_device = own("uint64", "fd.device", "Device", base.HEX),
  fd_inode = own("uint64", "fd.inode", "Inode"),
  fd_size = own("uint64", "fd.size", "Size"),
  fd_seals = own("uint32", "fd.seals", "Seals", base.HEX),
  fd_eventfd_id = own("int64", "fd.eventfd_id", "Eventfd id"),
  fd_eventfd_count = own("uint64", "fd.eventfd_count", "Eventfd count", base.DEC),
  fd_frontend_fd = own("int32", "fd.frontend_fd", "Number in the front-end"),
  fd_backend_fd = own("int32", "fd.backend_fd", "Number in the back-end"),
  fd_name = own("string", "fd.name", "Name"),
}

FD_FIELDS = {
  F.fds, F.fd, F.fd_kind, F.fd_access, F.fd_device, F.fd_inode, F.fd_size, F.fd_seals, F.fd_eventfd_id,
  F.fd_eventfd_count, F.fd_frontend_fd, F.fd_backend_fd, F.fd_name,
}

vhost_user.fields = fields

EXPERTS = {
  malformed = { expert.group.MALFORMED, expert.severity.ERROR },
  error = { expert.group.PROTOCOL, expert.severity.ERROR },
  warning = { expert.group.PROTOCOL, expert.severity.WARN },
  info = { expert.group.PROTOCOL, expert.severity.NOTE },
}
for name, row in pairs(EXPERTS) do
  EXPERTS[name] = ProtoExpert.new(NAME .. ".expert." .. name, name, row[1], row[2])
end
local experts = {}
for _, each in pairs(EXPERTS) do experts[#experts + 1] = each end
vhost_user.experts = experts
