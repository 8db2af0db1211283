window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: "/openapi.yaml",
    dom_id: "#docs",
    deepLinking: true,
    defaultModelsExpandDepth: 0,
    // Nothing is sent anywhere but here.
    validatorUrl: null,
    persistAuthorization: false,
  });
});
