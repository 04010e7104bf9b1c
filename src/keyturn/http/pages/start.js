// A file of its own, because the page's Content-Security-Policy allows no inline script.
const dark = matchMedia("(prefers-color-scheme: dark)");
const followScheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", followScheme);
followScheme();

SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  persistAuthorization: false, // a token stays in the page's memory
  validatorUrl: null, // no request to elsewhere
  tryItOutEnabled: true,
});
