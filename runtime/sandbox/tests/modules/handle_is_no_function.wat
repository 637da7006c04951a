(component
  (component $c)
  (export "handle" (component $c)))
