-- Users with tokens: of the ids given, or spread over all, the same for the same data.
select u.id, app.session_start(u.id) ->> 'token'
from app.users u
where u.deleted_at is null
  and (%(first)s = 0 or u.id between %(first)s and %(last)s)
order by hashint8(u.id), u.id
limit %(count)s
