-- Deploy microblog:functions/bcrypt to pg
-- requires: schema/settings
-- requires: functions/http_error
--
-- bcrypt is slow on purpose: each password has a core to itself for some 50 ms, and holds one of the
-- few connections that all requests share. So only some are worked on at a time, some wait for their
-- turn, and the others are told to come again; and after each a slot rests, so that a flood has a
-- part of a core and not all of it. This is the one function that runs bcrypt.
--
-- Places and slots are advisory locks of two keys, which PostgreSQL keeps apart from those of one
-- (app.author_lock): class 1 are the places, for all who are let in, class 2 the slots, for those
-- who compute. Nothing else is waited for while they are held: no deadlock can come of them.

begin;
set local role microblog_owner;

create function app.bcrypt(password text, salt text)
returns text
language plpgsql
volatile
as $$
declare
  v_slots constant integer := greatest(app.setting('login_concurrency'), 1);
  v_places constant integer := v_slots + app.setting('login_queue');
  v_place integer := 1;
  v_slot integer := 1;
  v_began timestamptz;
  v_hash text;
begin
  -- A lock that was taken in this block is given back when the block is rolled back, whatever ends
  -- it: the return of a slot needs neither a lock of the session, which a cancelled request would
  -- leave behind in its connection, nor the end of the transaction.
  begin
    while not pg_try_advisory_xact_lock(1, v_place) loop
      v_place := v_place + 1;
      if v_place > v_places then
        raise lock_not_available;
      end if;
    end loop;
    while v_slot <= v_slots and not pg_try_advisory_xact_lock(2, v_slot) loop
      v_slot := v_slot + 1;
    end loop;
    if v_slot > v_slots then
      perform pg_advisory_xact_lock(2, 1 + v_place % v_slots);
    end if;
    v_began := clock_timestamp();
    v_hash := extensions.crypt(bcrypt.password, bcrypt.salt);
    -- In step with the time that it took: where the cores are busy, it rests for longer.
    perform pg_sleep(
      date_part('epoch', clock_timestamp() - v_began) * app.setting('login_rest') / 100
    );
    raise sqlstate 'MBEND';
  exception
    when sqlstate 'MBEND' then
      return v_hash;
    when lock_not_available then
      perform app.http_error(503, 'busy', 'Too many passwords are being checked at once.',
        'Nothing was done. Send the request again in a second.');
  end;
end
$$;

comment on function app.bcrypt(text, text) is
  'bcrypt of a password, once it is its turn; 503 where login_queue others wait already, or the wait is too long';

commit;
