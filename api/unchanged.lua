-- Conditional requests for a timeline are asked of PostgreSQL itself before they go to PostgREST: is
-- this the page that the client has? Then the answer is a 304, made here. Anything else, an error or
-- a wait among them, is no answer: the request goes on as if nothing had been asked.
--
--   MICROBLOG_DATABASE_SOCKET   PostgreSQL's Unix socket, unix@/…/.s.PGSQL.5432; without it nothing
--                               is asked
--   MICROBLOG_DATABASE          name of the database
--
-- Speaks the frontend/backend protocol, version 3.0
-- (https://www.postgresql.org/docs/current/protocol-message-formats.html), as far as one prepared
-- statement with text parameters needs it. The operating system says who asks (peer), so there is no
-- password. Each thread of HAProxy has a Lua state, and in it connections, of its own.

local socket = os.getenv("MICROBLOG_DATABASE_SOCKET") or ""
local database = os.getenv("MICROBLOG_DATABASE") or ""
-- Connections of a thread; what one step of a question may take, and on a new connection, whose session
-- has yet to plan everything; how long a connection is kept that nothing is asked on.
local most, seconds, seconds_new, seconds_kept = 16, 0.2, 1, 60
-- idle: {connection, since when}, the one used last at the end. busy: questions under way. Nothing is
-- asked before rested: after a question that ran out of time the database is spared for a second.
local idle, busy, swept, rested = {}, setmetatable({}, { __mode = "k" }), 0, 0
local pack, unpack = string.pack, string.unpack

local function clock()
  local now = core.now()
  return now.sec + now.usec / 1e6
end

-- HAProxy holds the time of a step against idle connections, too, and closes them without a word.
-- Raises no error where that has happened.
local function allow(connection, time)
  return pcall(connection.settimeout, connection, time)
end

local function message(kind, ...)
  local body = table.concat({ ... })
  return kind .. pack(">I4", #body + 4) .. body
end

local sync = message("S")
local execute = message("E", "\0", pack(">I4", 0)) .. sync
local parse = message("P", "unchanged\0",
  "select app.feed_unchanged($1, $2, $3, $4, $5, $6, $7, $8)\0", pack(">I2", 0)) .. sync

-- Reads up to ReadyForQuery; gives the only row, and whether the connection is still good. It is after
-- a refusal in our own words (SQLSTATE PGRST), which is an answer like any other. A connection that
-- asks for a password fails at its timeout.
local function answer(connection)
  local row, well = nil, true
  while true do
    local head = connection:receive(5)
    if not head then
      return nil, false
    end
    local kind, length = head:sub(1, 1), unpack(">I4", head, 2)
    local body = length > 4 and connection:receive(length - 4) or ""
    if not body then
      return nil, false
    elseif kind == "D" then
      row = body
    elseif kind == "E" then
      well = well and body:find("\0CPGRST\0", 1, true) ~= nil
    elseif kind == "Z" then
      return row, well
    end
  end
end

local function connect()
  local connection = core.tcp()
  connection:settimeout(seconds_new)
  local startup = pack(">I4", 196608)
    .. "user\0proxy\0database\0" .. database .. "\0application_name\0proxy\0\0"
  if connection:connect(socket)
    and connection:send(pack(">I4", #startup + 4) .. startup)
    and select(2, answer(connection))
    and connection:send(parse)
    and select(2, answer(connection))
  then
    return connection
  end
  connection:close()
end

-- How many are asking. A client that goes away ends its question without a word, and nothing holds the
-- question any more: what is left of it is swept up where places are wanted, once a second at most.
local function asking()
  local function count()
    local found = 0
    for _ in pairs(busy) do
      found = found + 1
    end
    return found
  end
  local found, now = count(), core.now().sec
  if found >= most and now ~= swept then
    swept = now
    collectgarbage()
    found = count()
  end
  return found
end

-- A connection that is kept, or a new one; nil where there is none to be had.
local function take()
  while #idle > 0 do
    local connection = table.remove(idle)[1]
    if allow(connection, seconds) then
      return connection, seconds
    end
  end
  return connect(), seconds_new
end

-- The headers of a 304, as JSON, or nil; and whether there was an answer. With every connection in
-- use nobody waits for one.
local function ask(...)
  if clock() < rested or asking() >= most then
    return nil, false
  end
  local question, began = {}, clock()
  busy[question] = true
  local connection, time = take()
  local row, well
  if connection then
    local values = { ... }
    for i, value in ipairs(values) do
      values[i] = pack(">s4", value)
    end
    local bind = message("B", "\0unchanged\0", pack(">I2I2", 0, #values), table.concat(values),
      pack(">I2", 0))
    if connection:send(bind .. execute) then
      row, well = answer(connection)
    end
  end
  busy[question] = nil
  local ended = clock()
  -- HAProxy 2.6 forgets, about once in a thousand answers, to wake the script that waits for one, and
  -- wakes it when its time is over: the answer is there, and the connection of no more use.
  if connection and not (well and ended - began < time and allow(connection, 2 * seconds_kept)) then
    connection:close()
  elseif connection then
    idle[#idle + 1] = { connection, ended }
  end
  if not well then
    if ended - began >= time then
      rested = ended + 1
    end
    return nil, false
  end
  -- One column: its count, its length (-1: null), its text.
  if row and unpack(">i4", row, 3) >= 0 then
    return row:sub(7), true
  end
  return nil, true
end

-- Closes what nothing was asked on for a while; all of it when HAProxy is to stop, which waits for each
-- connection that is open.
core.register_task(function()
  while true do
    core.sleep(1)
    local is_stopping = tonumber(core.get_info().Stopping) == 1
    local before = is_stopping and math.huge or clock() - seconds_kept
    while idle[1] and idle[1][2] < before do
      local connection = table.remove(idle, 1)[1]
      pcall(connection.close, connection)
    end
    if is_stopping then
      rested = math.huge
    end
  end
end)

core.register_action("unchanged", { "http-req" }, function(txn)
  local cursor, tags = txn:get_var("txn.cursor") or "", txn.f:req_fhdr("if-none-match") or ""
  -- "*" is the tag of any page, also where a full answer would be an error that only PostgREST sees.
  if socket == "" or not cursor:match("^%d*$") or tags:find("*", 1, true) then
    return
  end
  local headers, answered = ask(
    txn.f:http_auth_bearer() or "", txn.f:method(), txn.f:path(), cursor,
    txn.f:req_hdr("x-page-limit") or "", txn:get_var("txn.representation") or "", tags, txn.f:src()
  )
  if not answered then
    txn:set_var("txn.unanswered", true)
  elseif headers then
    conditional(txn, "short")
    local reply = txn:reply({ status = 304 })
    reply:add_header("Date", txn.c:http_date(core.now().sec))
    for name, value in headers:gmatch('{"([^"]+)": "(.-[^\\])"}') do
      reply:add_header(name, (value:gsub("\\", "")))
    end
    txn:done(reply)
  end
end)
