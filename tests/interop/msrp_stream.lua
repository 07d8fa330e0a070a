-- Cuts a byte stream into frames and gives each to Wireshark's own MSRP dissector, which alone would see only the first
-- frame of a segment, lose one whose end-line is split, and cannot be put behind TLS by -d.
-- Arguments: port, "plain" or "tls".

local port, layer = ...
local stream = Proto("msrpstream", "MSRP byte stream")
local cut = ProtoField.string("msrpstream.frame", "Method or code of the frame cut out")
local lost = ProtoField.string("msrpstream.lost", "Octets that are in no frame")
stream.fields = { cut, lost }

local msrp = Dissector.get("msrp")

-- Index of the last octet of the frame that starts at `from` and its method or code; nil when more octets are needed,
-- false when no frame starts there.
local function frame_end(octets, from)
    local line_end = octets:find("\r\n", from, true)
    if not line_end then
        local head = octets:sub(from, from + 4)
        return (head == ("MSRP "):sub(1, #head) and #octets - from < 4096) and nil
    end
    local tid, kind = octets:sub(from, line_end - 1):match("^MSRP (%S+) (%S+)")
    if not tid then
        return false
    end
    local end_line = "\r\n-------" .. tid
    local at = line_end
    while true do
        local first, last = octets:find(end_line, at, true)
        if not first or #octets < last + 3 then
            return nil
        end
        if octets:sub(last + 1, last + 3):match("^[$+#]\r\n$") then
            return last + 3, kind
        end
        at = first + 1
    end
end

-- The frame as the MSRP dissector can bear it. Version 4.0 looks for the parameters of Content-Type beyond the end of that
-- line, so that a semicolon among the first octets of a body makes it call the frame malformed, and it takes any line of
-- seven hyphens for the end-line. Such octets of a body become dots; head and end-line stay as they are.
local function readable(frame)
    local _, head = frame:find("\r\n\r\n", 1, true)
    local tail = #frame - frame:reverse():find("-------", 1, true) - 6
    if not head or head > tail then
        return nil
    end
    local body = frame:sub(head + 1, tail)
    local shown = body:sub(1, 16):gsub(";", ".") .. body:sub(17)
    shown = shown:gsub("%-%-%-%-%-%-%-", ".......")
    return shown ~= body and frame:sub(1, head) .. shown .. frame:sub(tail + 1) or nil
end

function stream.dissector(tvb, pinfo, tree)
    local octets = tvb:raw()
    local from = 1
    while from <= #octets do
        local last, kind = frame_end(octets, from)
        if last == nil then
            pinfo.desegment_offset = from - 1
            pinfo.desegment_len = DESEGMENT_ONE_MORE_SEGMENT
            return #octets
        elseif last == false then
            tree:add(lost, tvb(from - 1), tostring(#octets - from + 1))
            return #octets
        end
        local frame = tvb(from - 1, last - from + 1)
        tree:add(cut, frame, kind)
        local shown = readable(octets:sub(from, last))
        msrp:call(shown and ByteArray.new(shown, true):tvb("MSRP frame") or frame:tvb(), pinfo, tree)
        from = last + 1
    end
    return #octets
end

DissectorTable.get(layer == "tls" and "tls.port" or "tcp.port"):add(tonumber(port), stream)
