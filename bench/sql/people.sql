-- Users with tokens: of the ids given, or of a kind (kinds.sql), the same for the same data.
select u.id, app.session_start(u.id) ->> 'token'
from app.users u
left join bench.people p on p.kind = %(kind)s and p.user_id = u.id
where u.deleted_at is null
  and case
    when %(first)s = 0 then p.user_id is not null
    else u.id between %(first)s and %(last)s
  end
order by hashint8(u.id), u.id
limit %(count)s
