-- Feeds are asked of PostgreSQL itself before they are asked of PostgREST (decision 0025): for the page,
-- or whether it is the one that the client has. A page is sent from here, and so is a 304. Anything
-- else, an error or a wait among them, is no answer: the request goes on as if nothing had been asked.
--
--   MICROBLOG_DATABASE_SOCKET   PostgreSQL's Unix socket, unix@/…/.s.PGSQL.5432; without it nothing
--                               is asked
--   MICROBLOG_DATABASE          name of the database
--   MICROBLOG_FEED_SECONDS      what one step of a question may take (0.2), on a new connection, whose
--                               session has yet to plan everything, and in line for its turn five times
--                               that
--
-- Speaks the frontend/backend protocol, version 3.0
-- (https://www.postgresql.org/docs/current/protocol-message-formats.html), as far as one prepared
-- statement with text parameters needs it. The operating system says who asks (peer), so there is no
-- password. Each thread of HAProxy has a Lua state, and in it connections, of its own.

local socket = os.getenv("MICROBLOG_DATABASE_SOCKET") or ""
local database = os.getenv("MICROBLOG_DATABASE") or ""
local seconds = tonumber(os.getenv("MICROBLOG_FEED_SECONDS")) or 0.2
local seconds_new, seconds_waiting = 5 * seconds, 5 * seconds
-- Connections of a thread, and how many may wait for one; seconds that a connection is kept on which
-- nothing is asked.
local most, most_waiting, seconds_kept = 16, 1000, 300
-- idle: {connection, since when}, the one used last at the end. busy: questions under way.
local idle, busy, under_way, swept = {}, setmetatable({}, { __mode = "k" }), 0, 0
-- Who waits for a turn, first come first served: line[first] to line[last], each with the time at which
-- it will look again.
local line, first, last = {}, 1, 0
-- Milliseconds from one answer to the next, the mean of the last thirty or so, and when the last one came.
local pace, answered_at = 1, 0
-- Who (a token, or a network) is left to PostgREST, this second and the last, and why: "refused", because
-- PostgREST looks at limits before it makes a page; "late", because a page that takes long would be made
-- twice.
local left, left_before, left_at = {}, {}, 0
-- How many were late in this second. When they are half of the places the database is spared: nothing
-- is asked before rested.
local late, rested = 0, 0
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
local parse = message("P", "feed\0",
  "select app.feed_answer($1, $2, $3, $4, $5, $6, $7, $8, $9)\0", pack(">I2", 0)) .. sync

-- Reads up to ReadyForQuery; gives the only row, whether the connection is still good, and the words of
-- a refusal of our own (SQLSTATE PGRST), after which it is. A connection that asks for a password fails
-- at its timeout.
local function answer(connection)
  local row, well, refusal = nil, true, nil
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
      refusal = body:find("\0CPGRST\0", 1, true) and body
      well = well and refusal
    elseif kind == "Z" then
      return row, well, refusal
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
-- question any more: what is left of it is swept up where places are wanted, ten times a second at most.
local function asking()
  local now = clock()
  if under_way >= most and now > swept + 0.1 then
    swept = now
    collectgarbage()
    under_way = 0
    for _ in pairs(busy) do
      under_way = under_way + 1
    end
  end
  return under_way
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

-- How many wait before this one. Who is long overdue does not look any more: the client went away.
local function before(number)
  local overdue = clock() - 0.1
  while first < number and (not line[first] or line[first] < overdue) do
    line[first] = nil
    first = first + 1
  end
  return math.max(number - first, 0)
end

-- Waits for a turn, and says whether it came. Nothing wakes a script when another one is done: each
-- looks again by itself, before its turn can have come: after seven tenths of the time that those before
-- it take at the present pace, or of a millisecond for each, whichever is less. Less than the whole,
-- because a pace at which nobody looks early confirms itself: the database waits for who looks late.
local function turn()
  local ends = clock() + seconds_waiting
  if last - first >= most_waiting then
    return false
  end
  last = last + 1
  local number = last
  local ahead = before(number)
  if asking() + ahead < most then
    return true
  end
  repeat
    local now = clock()
    if now < rested or now > ends then
      line[number] = nil
      return false
    end
    local pause = 1 + math.floor(math.min(math.min(0.7 * pace, 1) * ahead, 1000 * (ends - now)))
    if number >= first then
      line[number] = now + pause / 1000
    end
    core.msleep(pause)
    ahead = before(number)
  until asking() + ahead < most
  line[number] = nil
  return true
end

-- Why somebody is left to PostgREST at the moment; nil where nobody says so.
local function why_left(who)
  local now = core.now().sec
  if now ~= left_at then
    left_before, left = now == left_at + 1 and left or {}, {}
    left_at, late = now, 0
  end
  return left[who] or left_before[who]
end

-- What the database says, or nil; and whether there was an answer. who and network: whose limits the
-- question is counted by.
local function ask(who, network, ...)
  local why = why_left(who) or why_left(network)
  if not why and (clock() < rested or not turn()) then
    return nil, false
  end
  why = why or why_left(who) or why_left(network)
  if why then
    return nil, why == "refused"
  end
  local question, began = {}, clock()
  busy[question], under_way = true, under_way + 1
  local connection, time = take()
  local row, well, refusal
  if connection then
    local values = { ... }
    for i, value in ipairs(values) do
      values[i] = pack(">s4", value)
    end
    local bind = message("B", "\0feed\0", pack(">I2I2", 0, #values), table.concat(values),
      pack(">I2", 0))
    if connection:send(bind .. execute) then
      row, well, refusal = answer(connection)
    end
  end
  busy[question], under_way = nil, under_way - 1
  local ended = clock()
  if first <= last then
    pace = pace + (1000 * math.min(ended - answered_at, 0.1) - pace) / 32
  end
  answered_at = ended
  -- HAProxy 2.6 forgets, about once in a thousand answers, to wake the script that waits for one, and
  -- wakes it when its time is over: the answer is there, and the connection of no more use.
  if connection and not (well and ended - began < time and allow(connection, 2 * seconds_kept)) then
    connection:close()
  elseif connection then
    idle[#idle + 1] = { connection, ended }
  end
  if not well then
    if ended - began >= time then
      left[who], late = "late", late + 1
      if late >= most / 2 or not connection then
        rested = ended + 1
      end
    end
    return nil, false
  end
  if refusal then
    local by_address = refusal:find('"Too many requests by address."', 1, true)
    left[by_address and network or who] = "refused"
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

-- Gives an answer, a reply or an applet's, the headers that the database told, and its date.
local function add_headers(answer, told, converters)
  answer:add_header("Date", converters:http_date(core.now().sec))
  for name, value in told:gmatch('{"([^"]+)": "(.-[^\\])"}') do
    answer:add_header(name, (value:gsub("\\", "")))
  end
end

core.register_action("feed", { "http-req" }, function(txn)
  local cursor, tags = txn:get_var("txn.cursor") or "", txn.f:req_fhdr("if-none-match") or ""
  -- "*" is the tag of any page, also where a full answer would be an error that only PostgREST sees.
  if socket == "" or not cursor:match("^%d*$") or tags:find("*", 1, true) then
    return
  end
  local token, network = txn.f:http_auth_bearer() or "", txn:get_var("txn.network")
  local told, answered = ask(
    token == "" and network or token, network,
    token, txn.f:method(), txn.f:path(), cursor, txn.f:req_hdr("x-page-limit") or "",
    txn:get_var("txn.representation") or "", tags, txn.f:src(), txn:get_var("txn.plain") and "t" or "f"
  )
  if not answered then
    txn:set_var("txn.unanswered", true)
    count("feeds:fallback")
  elseif told and told:find("\n", 1, true) then
    count("feeds:direct")
    txn:set_priv(told)
    txn:set_var("txn.page", true)
  elseif told then
    conditional(txn, "short")
    local reply = txn:reply({ status = 304 })
    add_headers(reply, told, txn.c)
    txn:done(reply)
  end
end)

-- Sends the page that the action got: a reply of an action could not be larger than a buffer.
core.register_service("feed", "http", function(applet)
  local told = applet:get_priv()
  local line_end = told:find("\n", 1, true)
  local body = told:sub(line_end + 1)
  applet:set_status(200)
  add_headers(applet, told:sub(1, line_end - 1), applet.c)
  applet:add_header("Content-Length", tostring(#body))
  applet:start_response()
  applet:send(body)
end)
