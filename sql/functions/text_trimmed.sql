-- Deploy microblog:functions/text_trimmed to pg
-- requires: schema/schemas

begin;
set local role microblog_owner;

-- Every character of Unicode's White_Space property, the zero-width space and the byte order
-- mark. A list, because what \s matches depends on the locale and leaves out the no-break space.
create function app.text_trimmed(value text)
returns text
language sql
immutable
parallel safe
return btrim(
  value,
  e' \t\n\u000b\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009'
  '\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff'
);

comment on function app.text_trimmed(text) is 'The text without white space at either end, as Unicode defines white space';

grant execute on function app.text_trimmed(text) to anon, member;

commit;
