-- Feature masks in a row: what is offered, and what of an offer was not taken (vutrace/views/masks.py).

local NAMES_SHOWN = 8

local function few(names)
  if #names <= NAMES_SHOWN then return concat(names, " ") end
  return format("%s +%d", concat(names, " ", 1, NAMES_SHOWN), #names - NAMES_SHOWN)
end

function trimmed(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- Short names of virtio bits, the generic ones first.
function virtio_names(device)
  return function(mask, without)
    local generic, others = {}, {}
    for _, bit in ipairs(set_bits(mask, without)) do
      local name = FEATURE_NAMES[bit] or (device and device.feature_names[bit]) or ("bit " .. bit)
      local list = FEATURE_NAMES[bit] and generic or others
      list[#list + 1] = name:match("_F_(.+)") or name
    end
    for _, name in ipairs(others) do generic[#generic + 1] = name end
    return generic
  end
end

function offer(mask, before, names)
  if mask == before then return hex(mask) .. " as before" end
  return trimmed(hex(mask) .. " " .. few(names(mask)))
end

local function marked(names, before, behind)
  local words = {}
  for i, name in ipairs(names) do words[i] = before .. name .. behind end
  return few(words)
end

function choice(mask, before, offered, names, tell_taken)
  if mask == before then return hex(mask) .. " as before" end
  local taken = (tell_taken or not offered) and few(names(mask)) or ""
  if not offered then return trimmed(hex(mask) .. " " .. taken) end
  local left, extra = marked(names(offered, mask), "-", ""), marked(names(mask, offered), "+", " (not offered)")
  local words = { hex(mask) }
  for _, each in ipairs({ taken, left ~= "" and left or "(all offered)", extra }) do
    if each ~= "" then words[#words + 1] = each end
  end
  return concat(words, " ")
end
