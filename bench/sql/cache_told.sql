-- Deleted posts leave the shared public page, as the schema has it.
alter table app.posts enable trigger t50_cache_invalidate;
