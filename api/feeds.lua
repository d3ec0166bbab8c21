-- Feeds are asked of PostgreSQL itself before they are asked of PostgREST (decision 0025): for the page,
-- or whether it is the one that the client has; those that wait, together (decision 0028). A page is
-- sent from here, and so is a 304. Anything else, an error or a wait among them, is no answer: the
-- request goes on as if nothing had been asked.
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
-- Connections of a thread; how many questions are asked together, and how many may wait; seconds that a
-- connection is kept on which nothing is asked.
local most, most_together, most_waiting, seconds_kept = 4, 8, 1000, 300
-- Bytes of the pages of an answer: all of it has to fit a buffer (tune.bufsize, 64 kB), for HAProxy 2.6
-- stops reading where a script takes from a full one, until the time of the step is over.
local most_bytes = "60000"
-- idle: {connection, since when}, the one used last at the end. busy: groups of questions under way.
local idle, busy, under_way, swept = {}, setmetatable({}, { __mode = "k" }), 0, 0
-- Questions that wait for a turn, first come first served: line[first] to line[last]. A question is the
-- nine values that are asked, and
--   who, network   whose limits it is counted by
--   ends           when it waits no longer
--   looks          when it will look again
--   due            when its answer is expected: it is under way, by itself or with others
--   alone          it failed together with others
--   number         its place in the line
--   answered       true: told is what the database says, or nil. false: there will be no answer
local line, first, last = {}, 1, 0
-- Milliseconds from one page to the next, and from question to answer, means of the last thirty or so;
-- when the last answer came.
local pace, took, answered_at = 1, 1, 0
-- Who (a token, or a network) is left to PostgREST, this second and the last, and why: "refused", because
-- PostgREST looks at limits before it makes a page; "late", because a page that takes long would be made
-- twice.
local left, left_before, left_at = {}, {}, 0
-- How many were late in this second. When they are as many as places the database is spared: nothing
-- is asked before rested.
local late, rested = 0, 0
local pack, unpack = string.pack, string.unpack

-- Pages are garbage once they are sent, some MB in a second; what each collection walks through are the
-- scripts of all who wait.
collectgarbage("setpause", 1000)

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
local columns = {}
for i = 1, most_together do
  columns[i] = "a.told[" .. i .. "]"
end
local parse = message("P", "feed\0", "select cardinality(a.told), ", table.concat(columns, ", "),
  " from app.feed_answers($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) a (told)\0", pack(">I2", 0)) .. sync

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
-- question any more: what is left of it is swept up where places are wanted, ten times a second at most,
-- and once where answers come.
local function asking()
  local now = clock()
  if under_way >= most and now > swept + 0.1 and (now > answered_at + 0.1 or now > swept + 1) then
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

-- Why somebody is left to PostgREST at the moment; nil where nobody says so.
local function why_left(question)
  local now = core.now().sec
  if now ~= left_at then
    left_before, left = now == left_at + 1 and left or {}, {}
    left_at, late = now, 0
  end
  local who, network = question.who, question.network
  return left[who] or left_before[who] or left[network] or left_before[network]
end

-- How many wait before this one. Who is long overdue does not look any more: the client went away.
local function before(number)
  local overdue = clock() - 0.1
  while first < number and (not line[first] or line[first].looks < overdue) do
    line[first] = nil
    first = first + 1
  end
  return math.max(number - first, 0)
end

-- Waits until it is this question's turn to be asked (true), or it has been asked with others, or nobody
-- will. Nothing wakes a script when another one is done: each looks again by itself, before its turn can
-- have come: after seven tenths of the time that those before it take at the present pace, or of a
-- millisecond for each, whichever is less. Less than the whole, because a pace at which nobody looks
-- early confirms itself: the database waits for who looks late. Of what is under way, the answer is looked
-- for in the same way.
local function turn(question)
  repeat
    local now, pause = clock(), nil
    if now > question.ends then
      question.answered = false
    elseif question.due then
      pause = 2 + math.floor(math.max(700 * (question.due - now), 0))
    elseif now < rested or why_left(question) then
      question.answered = why_left(question) == "refused"
    else
      if line[question.number] ~= question then
        if last - first >= most_waiting then
          question.answered = false
          return
        end
        last = last + 1
        line[last], question.number = question, last
      end
      local ahead = before(question.number)
      if asking() + ahead // most_together < most then
        line[question.number] = nil
        return true
      end
      pause = 1 + math.floor(math.min(math.min(0.7 * pace, 1) * ahead, 1000 * (question.ends - now)))
    end
    if pause and question.answered == nil then
      question.looks = now + pause / 1000
      core.msleep(pause)
    end
  until question.answered ~= nil
  if line[question.number] == question then
    line[question.number] = nil
  end
end

-- This question and those first in line.
local function together(question)
  local group, overdue = { question }, clock() - 0.1
  local size = question.alone and 1 or math.min(most_together, 1 + (last - first + 1) // 4)
  for number = first, last do
    if #group == size then
      break
    end
    local other = line[number]
    if other and not other.alone and other.looks > overdue and not why_left(other) then
      line[number] = nil
      group[#group + 1] = other
    end
  end
  return group
end

-- An array of a value of each, as PostgreSQL reads it.
local function array(group, place)
  local values = {}
  for i, question in ipairs(group) do
    values[i] = '"' .. tostring(question[place]):gsub('["\\]', "\\%0") .. '"'
  end
  return pack(">s4", "{" .. table.concat(values, ",") .. "}")
end

-- Asks, and tells each of the group what the database says.
local function ask(group)
  local began = clock()
  busy[group], under_way = true, under_way + 1
  -- From now on they wait for this answer, also while there is no connection yet.
  local function expect(time)
    for _, question in ipairs(group) do
      question.due, question.ends = began + took / 1000, began + 2 * time
    end
  end
  expect(seconds_new)
  local connection, time = take()
  expect(time)
  local row, well, refusal
  if connection then
    local values = {}
    for place = 1, 9 do
      values[place] = array(group, place)
    end
    values[10] = pack(">s4", most_bytes)
    local bind = message("B", "\0feed\0", pack(">I2I2", 0, 10), table.concat(values), pack(">I2", 0))
    if connection:send(bind .. execute) then
      row, well, refusal = answer(connection)
    end
  end
  busy[group], under_way = nil, under_way - 1
  local ended = clock()
  if first <= last then
    local each = 1000 * math.min(ended - answered_at, 0.1) / #group
    pace = pace + (each - pace) * math.min(#group / 32, 1)
  end
  answered_at = ended
  -- HAProxy 2.6 forgets, about once in a thousand answers, to wake the script that waits for one, and
  -- wakes it when its time is over: the answer is there, and the connection of no more use.
  if connection and not (well and ended - began < time and allow(connection, 2 * seconds_kept)) then
    connection:close()
  elseif connection then
    idle[#idle + 1] = { connection, ended }
    took = took + (1000 * (ended - began) - took) / 32
  end
  local is_late = not well and ended - began >= time
  if is_late then
    late = late + 1
    if late >= most or not connection then
      rested = ended + 1
    end
  end
  if not well or refusal then
    row = nil
  end
  if refusal and #group == 1 then
    local by_address = refusal:find('"Too many requests by address."', 1, true)
    left[by_address and group[1].network or group[1].who] = "refused"
  end
  -- A row: how many columns, and of each its length (-1: null) and its text. The first one says how many
  -- answers there are.
  local place, answers = 3, 0
  local function column()
    local length = unpack(">i4", row, place)
    local text = length >= 0 and row:sub(place + 4, place + 3 + length) or nil
    place = place + 4 + math.max(length, 0)
    return text
  end
  if row then
    answers = tonumber(column())
  end
  for i = #group, 1, -1 do
    local question = group[i]
    question.due = nil
    if is_late then
      left[question.who] = "late"
    end
    if answers > 0 and i > answers then
      -- The pages became too many: it is the next.
      first, question.number, question.ends = first - 1, first - 1, ended + seconds_waiting
      line[first] = question
    elseif row == nil and #group > 1 and not is_late then
      question.alone, question.ends = true, ended + seconds_waiting
    else
      question.answered = row ~= nil or refusal ~= nil
    end
  end
  for i = 1, answers do
    group[i].told = column()
  end
end

-- What the database says, or nil; and whether there was an answer. who and network: whose limits the
-- question is counted by.
local function told(who, network, ...)
  local question = { who = who, network = network, number = 0, ends = clock() + seconds_waiting, ... }
  while question.answered == nil and turn(question) do
    ask(together(question))
  end
  return question.told, question.answered
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

core.register_action("feed", { "http-req" }, function(txn)
  local cursor, tags = txn:get_var("txn.cursor") or "", txn.f:req_fhdr("if-none-match") or ""
  local token, network = txn.f:http_auth_bearer() or "", txn:get_var("txn.network")
  -- "*" is the tag of any page, also where a full answer would be an error that only PostgREST sees. A
  -- token of ours has some 300 bytes.
  if socket == "" or not cursor:match("^%d*$") or tags:find("*", 1, true) or #token + #tags > 4096 then
    return
  end
  local page, answered = told(
    token == "" and network or token, network,
    token, txn.f:method(), txn.f:path(), cursor, txn.f:req_hdr("x-page-limit") or "",
    txn:get_var("txn.representation") or "", tags, txn.f:src(), txn:get_var("txn.plain") and "t" or "f"
  )
  if not answered then
    txn:set_var("txn.unanswered", true)
    count("feeds:fallback")
  elseif page then
    local head, body = page:match("^([^\n]*)\n?(.*)$")
    local reply = txn:reply({ status = body == "" and 304 or 200 })
    reply:add_header("Date", txn.c:http_date(core.now().sec))
    for name, value in head:gmatch('{"([^"]+)": "(.-[^\\])"}') do
      reply:add_header(name, (value:gsub("\\", "")))
    end
    if body == "" then
      conditional(txn, "short")
    else
      count("feeds:direct")
      if txn:get_var("txn.is_conditional") then
        conditional(txn, "changed")
      end
      reply:set_body(body)
    end
    txn:done(reply)
  end
end)
