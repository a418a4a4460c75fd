// PocketBase opens its databases with `synchronous(NORMAL)`: an answered write may be lost in a power failure. All writes go
// over one connection of each database, which is told here to wait for the disk, as the service does.
onBootstrap((event) => {
  event.next();
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute();
});

// A connection that nobody uses for three minutes is closed, and the next one has the default again: so it is used.
cronAdd("durability", "* * * * *", () => {
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous = FULL").execute();
});

// What is in force on that connection; the benchmark asks before and after it measures.
routerAdd("GET", "/durability", (event) => {
  const settings = new DynamicModel({ synchronous: -1 });
  $app.nonconcurrentDB().newQuery("PRAGMA synchronous").one(settings);
  return event.json(200, { synchronous: settings.synchronous });
});
