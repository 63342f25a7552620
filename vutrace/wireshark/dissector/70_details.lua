-- What matters in a message, in a few words: the same as vutrace/views/details.py says.

local REGIONS_SHOWN = 3

local function region(values)
  return size_text(values.size) .. " at gpa " .. address(values.guest_address)
end

local function regions_text(values)
  local list, told, sum = values.regions, {}, UInt64.new(0)
  if #list == 0 then return "no region" end
  for i, each in ipairs(list) do
    if i <= REGIONS_SHOWN then told[i] = region(each) end
    sum = sum + wide(each.size)
  end
  if #list == 1 then return "1 region, " .. told[1] end
  local more = #list > REGIONS_SHOWN and format(", %d more", #list - REGIONS_SHOWN) or ""
  return format("%d regions, %s: %s%s", #list, size_text(narrow(sum)), concat(told, ", "), more)
end

local function ring_fd(message)
  return format("ring %d%s", message.ring or low_byte(message.values.u64),
    test_bit(message.values.u64, 8) and " NOFD" or "")
end

local function named(message, name)
  for _, field in ipairs(message.layer.fields) do
    if field.name == name then return field end
  end
end

local function shown(message, name, context)
  return words_of(message.values[name], named(message, name), context)
end

local function switch(values, context, message)
  return format("ring %s: %s", decimal(values.index), shown(message, "num", context))
end

local function single_region(values)
  return region(values.region) .. ", uva " .. address(values.region.user_address)
end

local function crypto(values, _, message)
  if not message.reply then
    return format("cipher %d with %d bytes of key, hash %d", values.cipher_alg, values.key_len, values.hash_alg)
  end
  local text = decimal(values.session_id)
  return text:sub(1, 1) == "-" and status_text(values.session_id) or "session " .. text
end

local function rectangle(values)
  return format("%d×%d at %d,%d", values.width, values.height, values.x, values.y)
end

local function cursor(values)
  return format("scanout %d: %d,%d", values.scanout_id, values.x, values.y)
end

local function fourcc(code)
  code = code % 4294967296
  local letters, rest = "", code
  for _ = 1, 4 do
    local byte = rest % 256
    if byte < 0x20 or byte >= 0x7f then return format("0x%x", code) end
    letters, rest = letters .. string.char(byte), floor(rest / 256)
  end
  return letters
end

local function dmabuf(values)
  if values.width == 0 and values.height == 0 then
    return format("scanout %d: disabled", values.scanout_id)
  end
  local modifier = values.modifiers and ", modifier " .. address(values.modifiers) or ""
  return format("scanout %d: %s of %d×%d stride %d %s%s", values.scanout_id, rectangle(values),
    values.fd_width, values.fd_height, values.fd_stride, fourcc(values.fd_drm_fourcc), modifier)
end

local CONFIG_WIDTH = 140

local function says_nothing(field, value)
  if value == "" then return true end
  if is_bytes(field) then return not value:find("[^\0]") end
  return is_zero(value)
end

-- What a configuration space says, as far as a row goes: the values that are not zero, by weight.
local function config_words(message, raw, context)
  local words, any = {}, false
  local parts = config_parts(raw, message.rest - #message.values.data, message.rest, message, context)
  table.sort(parts, function(one, other) return one.field.rank < other.field.rank end)
  for _, each in ipairs(parts) do
    any = true
    local value, field = each.value, each.field
    if field.kind and field.kind ~= "pad" and not says_nothing(field, value) then
      words[#words + 1] = field.name .. " " .. words_of(value, field, context)
    end
  end
  if not any then return nil end
  local text = concat(words, ", ")
  if #text <= CONFIG_WIDTH then return text end
  return (text:sub(1, CONFIG_WIDTH):match("^(.*),") or "") .. ", …"
end

-- Each takes (values, context, message, raw).
local DETAILS = {
  ack = function(values) return status_text(values.status) end,
  u64 = function(values) return address(values.u64) end,
  features = function(values, context, message)
    local names = virtio_names(context.device)
    if message.reply then return offer(values.features, context.offered, names) end
    return choice(values.features, context.features, context.offered, names, false)
  end,
  protocol_features = function(values, context, message)
    local known = named(message, "protocol_features").names
    local function names(mask, without) return bit_names(mask, known, nil, without) end
    if message.reply then return offer(values.protocol_features, context.protocol_offered, names) end
    return choice(values.protocol_features, context.protocol_features, context.protocol_offered, names, true)
  end,
  status = function(values, _, message)
    if is_zero(values.status) then return message.reply and "0" or "0 (reset)" end
    return hex(values.status) .. " " .. joined(bit_names(values.status, named(message, "status").names))
  end,
  queue_num = function(values, context)
    return count_text(values.queue_num, context.device and context.device.pairs and "queue pair" or "queue")
  end,
  mem_slots = function(values) return count_text(values.max_mem_slots, "slot") end,
  mtu = function(values) return count_text(values.mtu, "byte") end,
  crypto_session_id = function(values) return "session " .. decimal(values.session_id) end,
  rarp = function(values) return colons(values.mac) end,
  uuid = function(values) return uuid_text(values.uuid) end,
  vring_state = function(values, _, message)
    local behind = message.name == "SET_VRING_NUM" and format(": %s descriptors", decimal(values.num)) or ""
    return "ring " .. decimal(values.index) .. behind
  end,
  vring_base = function(values, context)
    return format("ring %s: %s", decimal(values.index), vring_base_text(values.num, context.packed))
  end,
  vring_enable = switch,
  vring_endian = switch,
  vring_fd = function(_, _, message) return ring_fd(message) end,
  vring_addr = function(values)
    local log = has_bit(values.flags, 0) and " log " .. address(values.log) or ""
    return format("ring %s: desc %s avail %s used %s%s", decimal(values.index), address(values.descriptor),
      address(values.available), address(values.used), log)
  end,
  area = function(values, _, message)
    if test_bit(values.u64, 8) then return ring_fd(message) end
    return format("%s: %s at offset %s", ring_fd(message), size_text(values.size), address(values.offset))
  end,
  memory_table = regions_text,
  xen_memory_table = regions_text,
  single_region = single_region,
  xen_single_region = single_region,
  log = function(values) return size_text(values.mmap_size) .. " at offset " .. address(values.mmap_offset) end,
  inflight = function(values)
    local queues = format("%s of %d", count_text(values.num_queues, "queue"), values.queue_size)
    return is_zero(values.mmap_size) and queues or queues .. ", " .. size_text(values.mmap_size)
  end,
  iotlb = function(values, context, message)
    local kind, permission = shown(message, "type", context), shown(message, "permission", context)
    local place = kind .. " iova " .. address(values.iova)
    if kind == "update" then
      return format("%s +%s = uva %s %s", place, size_text(values.size), address(values.user_address), permission)
    end
    return place .. (kind == "invalidate" and " +" .. size_text(values.size) or " " .. permission)
  end,
  mmap = function(values, _, message)
    local place = format("shmid %d: %s at %s", values.shmid, size_text(values.len), address(values.shm_offset))
    if message.name:match("UNMAP$") then return place end
    local access = test_bit(values.flags, 0) and "read-write" or "read-only"
    return format("%s, fd offset %s, %s", place, address(values.fd_offset), access)
  end,
  shmem_config = function(values)
    local words = {}
    for i, length in ipairs(values.memory_sizes) do
      if not is_zero(length) then words[#words + 1] = format("shmid %d: %s", i - 1, size_text(length)) end
    end
    return #words > 0 and concat(words, ", ") or "no region"
  end,
  device_state_reply = function(values)
    return status_text(low_byte(values.u64)) .. (test_bit(values.u64, 8) and " NOFD" or "")
  end,
  config = function(values, context, message, raw)
    local words = format("%s at %d", count_text(values.size, "byte"), values.offset)
    local told = config_words(message, raw, context)
    return told and words .. ": " .. told or words
  end,
  crypto_session = crypto,
  old_crypto_session = crypto,
  blob = function(values) return hex_bytes(values.data) end,
  cursor_pos = cursor,
  cursor_update = function(values)
    return format("%s, hot spot %d,%d, 64×64 pixels", cursor(values.pos), values.hot_x, values.hot_y)
  end,
  scanout = function(values)
    local size = format("%d×%d", values.width, values.height)
    if values.width == 0 and values.height == 0 then size = "disabled" end
    return format("scanout %d: %s", values.scanout_id, size)
  end,
  update = function(values, _, message)
    local pixels = message.on_wire - message.layer.least
    local behind = pixels > 0 and ", " .. size_text(pixels) .. " of pixels" or ""
    return format("scanout %d: %s%s", values.scanout_id, rectangle(values), behind)
  end,
  dmabuf_scanout = dmabuf,
  dmabuf_scanout2 = dmabuf,
  display_info = function(values)
    local words = {}
    for number = 0, 15 do
      local each = values["display" .. number]
      if each.enabled ~= 0 then words[#words + 1] = format("display %d: %s", number, rectangle(each)) end
    end
    return #words > 0 and concat(words, ", ") or "no display"
  end,
  edid = function(values) return format("%d bytes of EDID", values.size) end,
}
for key, formatter in pairs(DETAILS) do
  local layer = LAYERS[NAME .. "." .. key]
  if layer then layer.detail = formatter end
end

-- A structure's values as they are.
local function plain_text(layer, values)
  local words = {}
  for _, field in ipairs(layer.fields) do
    local value = values[field.name]
    words[#words + 1] = field.name .. " " .. (is_bytes(field) and hex_bytes(value) or decimal(value))
  end
  return concat(words, ", ")
end

local function structures_text(field, value)
  local layer = LAYERS[field.layer]
  if field.type == "nested" then return plain_text(layer, value) end
  local words = {}
  for i, each in ipairs(value) do words[i] = plain_text(layer, each) end
  return concat(words, ", ")
end

-- Field by field.
local function generic(message, context)
  local words = {}
  for _, field in ipairs(message.layer.fields) do
    local value = message.values[field.name]
    if value ~= nil and field.kind ~= "pad" then
      local text = field.layer and structures_text(field, value) or words_of(value, field, context)
      words[#words + 1] = field.name .. " " .. text
    end
  end
  return concat(words, ", ")
end

local function leftover(message, raw)
  if message.layer.secrets then return format("%d bytes redacted", message.stop - message.rest) end
  return hex_bytes(raw:sub(message.rest + 1))
end

local function make_detail(message, raw, context)
  local formatter, text = message.layer.detail, nil
  if formatter and message.count == #message.layer.fields then
    text = formatter(message.values, context, message, raw)
  else
    text = generic(message, context)
  end
  if message.rest < message.stop then text = trimmed(text .. " " .. leftover(message, raw)) end
  return text
end

-- The words stay the same as long as no more is known of the session.
function detail_of(message, raw, context)
  if message.context ~= context then
    message.context, message.detail = context, make_detail(message, raw, context)
  end
  return message.detail
end
