// A backend beside Tenantry: one service key, and one token for each organization.
//
//     TENANTRY_URL=http://localhost:8000 TENANTRY_KEY=tnt_service_... node backend.mjs acme globex

const PERMISSIONS = ["documents:read", "documents:write"];

class Tenantry {
  #tokens = new Map();

  constructor(url, key) {
    this.url = url;
    this.key = key;
  }

  // A token of that organization, kept until half a minute before it expires. Requests that come together share
  // one exchange.
  async token(organization, user) {
    const name = JSON.stringify([organization, user]);
    const kept = this.#tokens.get(name);
    if (kept && performance.now() < kept.expires - 30_000) return kept.token;
    const body = { permissions: PERMISSIONS, subject: user };
    const exchange = this.send("POST", `/v1/organizations/${organization}/tokens`, this.key, body);
    const entry = { token: exchange.then((answer) => answer.access_token), expires: Infinity };
    this.#tokens.set(name, entry);
    try {
      entry.expires = performance.now() + (await exchange).expires_in * 1000;
    } catch (error) {
      this.#tokens.delete(name);
      throw error;
    }
    return entry.token;
  }

  // A request to the data of one organization, on behalf of one of your users.
  async request(organization, user, method, path, body) {
    const full = `/v1/organizations/${organization}${path}`;
    try {
      return await this.send(method, full, await this.token(organization, user), body);
    } catch (error) {
      if (error.status !== 401) throw error;
      // The token has ended before its time: the key was rotated, or the organization has changed.
      this.#tokens.delete(JSON.stringify([organization, user]));
      return this.send(method, full, await this.token(organization, user), body);
    }
  }

  async send(method, path, credential, body) {
    const headers = { authorization: `Bearer ${credential}`, "content-type": "application/json" };
    const response = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw Object.assign(new Error(answer.detail), { status: response.status });
    return answer;
  }
}

const tenantry = new Tenantry(process.env.TENANTRY_URL, process.env.TENANTRY_KEY);
for (const organization of process.argv.slice(2)) {
  const documents = "/collections/documents/documents";
  await tenantry.request(organization, "user-4711", "POST", documents, { total: 42 });
  const page = await tenantry.request(organization, "user-4711", "GET", documents);
  console.log(organization, "has", page.items.length, "documents");
}
