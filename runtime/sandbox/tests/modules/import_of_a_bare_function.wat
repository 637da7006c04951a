(component
  (import "now" (func (result u64))))
