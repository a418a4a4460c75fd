// Sends bodies of 1 to 5 MiB that are refused before they are read; complains of each refusal that does not arrive.
const [base, rounds] = process.argv.slice(-2);
const requests = [
  ["POST", "/v1/organizations", 401],
  ["POST", "/v1/organizations/import", 401],
  ["POST", "/nothing", 404],
  ["PUT", "/livez", 405],
  ["POST", "/org/create", 413],
  ["POST", "/org/create", 415, { "content-encoding": "br" }],
];

function stream(bytes) {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left === 0) return controller.close();
      controller.enqueue(new Uint8Array(65536));
      left -= 65536;
    },
  });
}

let lost = 0;
for (let round = 0; round < Number(rounds); round++) {
  const bytes = (1 + (round % 5)) << 20;
  for (const [method, path, status, more] of requests) {
    for (const body of [Buffer.alloc(bytes, 32), stream(bytes)]) {
      try {
        const headers = { "content-type": "application/json", ...more };
        const response = await fetch(base + path, { method, headers, body, duplex: "half" });
        const problem = await response.json();
        if (response.status !== status || problem.status !== status) throw new Error(problem.code);
        const next = await fetch(base + "/livez");
        if (next.status !== 200) throw new Error(`the next request: ${next.status}`);
        await next.text();
      } catch (error) {
        lost += 1;
        console.error(method, path, bytes, error.cause ?? error);
      }
    }
  }
}
if (lost > 0) process.exit(1);
console.log("all refusals arrived");
