select u.id, u.username, u.description, u.created_at, u.followers_count, u.following_count, u.posts_count from api.users u where u.id = 1;
