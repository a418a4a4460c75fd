// Starts Swagger UI on this service's own document.
"use strict";

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // The token that Authorize took stays over a reload, in this browser's local storage, until Logout.
  persistAuthorization: true,
  // Otherwise a badge asks another host what it thinks of the document.
  validatorUrl: null,
});
