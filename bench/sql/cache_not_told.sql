-- Nobody tells the shared page cache that a post is deleted.
alter table app.posts disable trigger t50_cache_invalidate;
