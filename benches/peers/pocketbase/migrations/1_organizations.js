// Organizations, their people and their documents, as an application models them in PocketBase: a person is of one
// organization, and rules keep the documents of others away.
migrate((app) => {
  const organizations = new Collection({
    type: "base",
    name: "organizations",
    fields: [{ type: "text", name: "name", required: true }],
    indexes: ["CREATE UNIQUE INDEX organizations_name ON organizations (name)"],
  });
  app.save(organizations);

  const users = app.findCollectionByNameOrId("users");
  users.fields.add(new RelationField({
    name: "organization", required: true, maxSelect: 1, collectionId: organizations.id,
  }));
  users.createRule = "";
  // No mail leaves a benchmark.
  users.authAlert.enabled = false;
  app.save(users);

  const own = "organization = @request.auth.organization";
  const documents = new Collection({
    type: "base",
    name: "documents",
    fields: [
      { type: "relation", name: "organization", required: true, maxSelect: 1, collectionId: organizations.id },
      { type: "text", name: "title" },
      { type: "text", name: "owner" },
      { type: "json", name: "tags" },
      { type: "number", name: "pages" },
      { type: "text", name: "kind" },
    ],
    indexes: ["CREATE INDEX documents_kind ON documents (organization, kind)"],
    listRule: own,
    viewRule: own,
    createRule: "@request.body.organization = @request.auth.organization",
    updateRule: own + " && @request.body.organization:isset = false",
    deleteRule: own,
  });
  app.save(documents);

  organizations.createRule = "";
  organizations.viewRule = "id = @request.auth.organization";
  app.save(organizations);

  const settings = app.settings();
  settings.batch.enabled = true;
  // Its default of three seconds ends batches that hash a password on a busy machine.
  settings.batch.timeout = 60;
  settings.rateLimits.enabled = false;
  settings.logs.maxDays = 0;
  app.save(settings);
});
