(component
  (import "acme:crypto/sign@1.2.0" (instance)))
