// A file of its own, because the page's Content-Security-Policy allows no inline script.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  persistAuthorization: false, // a token stays in the page's memory
  validatorUrl: null, // no request to elsewhere
  tryItOutEnabled: true,
});
